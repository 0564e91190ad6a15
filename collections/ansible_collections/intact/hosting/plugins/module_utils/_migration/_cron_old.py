# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Jobs on the old disk, as the lines that they are: crontabs of users and of the system, cron.daily and its like, at jobs. Only looks."""

from __future__ import annotations

import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _schedule

# Red Hat's, Debian's, SUSE's; the first holds the others as directories
TABS = ("/var/spool/cron", "/var/spool/cron/crontabs", "/var/spool/cron/tabs")
AT = ("/var/spool/at", "/var/spool/cron/atjobs", "/var/spool/atjobs")
PARTS = ("hourly", "daily", "weekly", "monthly")
LARGEST = 1 << 20
# schedule, user, command
_SYSTEM_LINE = re.compile(rb"^([ \t]*(?:@\w+|(?:[^\s@#]\S*[ \t]+){4}\S+)[ \t]+)(\S+)[ \t]+(\S.*)$")
_ASSIGNMENT = re.compile(rb"^\s*(\"[^\"]+\"|'[^']+'|[A-Za-z_][A-Za-z0-9_]*)\s*=")
RUN_PARTS = re.compile(rb"\brun-parts\b.*/etc/cron\.(hourly|daily|weekly|monthly)\b")
PERIODS = {b"1": b"@daily", b"@daily": b"@daily", b"7": b"@weekly", b"@weekly": b"@weekly", b"30": b"@monthly", b"31": b"@monthly", b"@monthly": b"@monthly"}


def plain(system, path):
    """Bytes of a file that cron would read, or None: links and what is no plain file, as cron itself, are left; so is what no crontab can be (1 MiB)."""
    entry = system.lstat(path)
    if entry is None or not stat.S_ISREG(entry.st_mode) or entry.st_size > LARGEST:
        return None
    return system.read(path, LARGEST)


def tabs(system):
    """[{user, source, lines [bytes]}] of users' crontabs; user as str. Comments and settings are lines too."""
    out = []
    for directory in TABS:
        for name in system.listdir(directory):
            data = plain(system, directory + "/" + name)
            if data is not None and not name.startswith((".", "tmp.")):
                out.append({"user": name, "source": directory + "/" + name, "lines": data.split(b"\n")})
    return [tab for tab in out if any(line.strip() for line in tab["lines"])]


def system_tabs(system):
    """([{user, source, lines}], [(source, line)]): /etc/crontab and /etc/cron.d, one for each user in a file, without his column; and what runs cron.daily."""
    out, parts = [], []
    paths = ["/etc/crontab"] + ["/etc/cron.d/" + name for name in system.listdir("/etc/cron.d") if _schedule.READ_NAME.match(name)]
    for path in paths:
        users, settings = {}, []
        for line in (plain(system, path) or b"").split(b"\n"):
            if _ASSIGNMENT.match(line) and not line.lstrip().startswith(b"@"):
                settings.append(line)
                for lines in users.values():
                    lines.append(line)
                continue
            found = _SYSTEM_LINE.match(line)
            if not found or line.lstrip().startswith(b"#"):
                continue
            if RUN_PARTS.search(found.group(3)):
                parts.append((path, line))
                continue
            lines = users.setdefault(found.group(2).decode("utf-8", "surrogateescape"), list(settings))
            lines.append(found.group(1) + found.group(3))
        out += [{"user": user, "source": path, "lines": lines} for user, lines in users.items()]
    out += _anacron(system, parts)
    return out, parts


def _anacron(system, parts):
    lines, other = [], False
    for line in (plain(system, "/etc/anacrontab") or b"").split(b"\n"):
        row = line.strip().split(None, 3)
        if _ASSIGNMENT.match(line):
            lines.append(line)
        elif len(row) == 4 and not row[0].startswith(b"#"):
            if RUN_PARTS.search(row[3]):
                parts.append(("/etc/anacrontab", line))
            elif row[0] in PERIODS:
                lines.append(PERIODS[row[0]] + b" " + row[3])
                other = True
            else:
                lines.append(b"# every " + row[0] + b" days: " + row[3])
                other = True
    return [{"user": "root", "source": "/etc/anacrontab", "lines": lines}] if other else []


def scripts(system):
    """[(part, name, path, bytes)] of what run-parts ran on the old system."""
    out = []
    for part in PARTS:
        for name in system.listdir("/etc/cron." + part):
            path = "/etc/cron.%s/%s" % (part, name)
            entry = system.lstat(system.realpath(path))
            # Red Hat's run-parts ran names with dots too, but for leftovers
            if entry is None or not stat.S_ISREG(entry.st_mode) or not entry.st_mode & 0o111 or re.search(r"(^\.|~$|,$|\.(rpm|dpkg-|bak|old|swp)\w*$)", name):
                continue
            data = system.read(path, LARGEST)
            if data is not None:
                out.append((part, name, path, data))
    return out


def at_jobs(system):
    """[{name, path, user, uid, due, command, data}] of jobs that at had not run yet."""
    out = []
    for directory in AT:
        for name in system.listdir(directory):
            path = directory + "/" + name
            data = plain(system, path)
            job = _schedule.at_job(name, data.decode("utf-8", "surrogateescape")) if data else None
            if job:
                uid = system.lstat(path).st_uid
                out.append(dict(job, name=name, path=path, data=data, uid=uid, user=system.account(uid) or job["user"] or str(uid)))
    return out


def conffiles(system):
    """{path: (package, md5)} of the old dpkg's configuration files; {} for other systems."""
    out, package = {}, ""
    for line in system.text("/var/lib/dpkg/status").split("\n"):
        if line.startswith("Package: "):
            package = line[9:].strip()
        found = re.match(r" (/etc/\S+) ([0-9a-f]{32})( obsolete)?$", line)
        if found:
            out[found.group(1)] = (package, found.group(2))
    return out


def timezone(system):
    """Name of a host's time zone, "" when it can't be told."""
    for path, pattern in (("/etc/timezone", r"^\s*([\w/+-]+)\s*$"), ("/etc/sysconfig/clock", r"^\s*(?:ZONE|TIMEZONE)=\"?([\w/+-]+)")):
        found = re.search(pattern, system.text(path), re.MULTILINE)
        if found:
            return found.group(1)
    found = re.search(r"zoneinfo/(?:posix/|right/)?(.+)$", system.readlink("/etc/localtime") or "")
    return found.group(1) if found else ""
