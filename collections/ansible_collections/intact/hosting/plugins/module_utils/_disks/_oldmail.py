# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""Mail, mailing lists and jobs of an old root, by their files."""

from __future__ import annotations

import posixpath
import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils._disks._olddata import text
from ansible_collections.intact.hosting.plugins.module_utils._files import escape

# server: the file that says that it is set up
TRANSFER = {
    "postfix": ("/etc/postfix/main.cf",),
    "exim": ("/etc/exim4/exim4.conf.template", "/etc/exim4/update-exim4.conf.conf", "/etc/exim.conf", "/etc/exim/exim.conf"),
    "sendmail": ("/etc/mail/sendmail.cf", "/etc/sendmail.cf"),
    "qmail": ("/var/qmail/control/me",),
}
ACCESS = {
    "dovecot": ("/etc/dovecot/dovecot.conf", "/etc/dovecot.conf"),
    "courier": ("/etc/courier/imapd", "/etc/courier-imap/imapd", "/usr/lib/courier-imap/etc/imapd"),
    "cyrus": ("/etc/imapd.conf", "/etc/cyrus.conf"),
}
PACKAGES = {"exim": "exim4-base", "courier": "courier-imap", "dovecot": "dovecot-core", "cyrus": "cyrus-common"}
MBOX = ("/var/mail", "/var/spool/mail")
# where maildirs are, each pattern with the place that is named
MAILDIRS = (
    ("/var/qmail/mailnames", "/var/qmail/mailnames/*/*/Maildir"),
    ("/var/vmail", "/var/vmail/*/*"),
    ("/var/mail/vhosts", "/var/mail/vhosts/*/*"),
    ("/var/spool/virtual", "/var/spool/virtual/*/*"),
    ("/home/vmail", "/home/vmail/*/*"),
    ("/home", "/home/*/Maildir"),
    ("/home", "/home/*/mail/*/*"),
    ("/home", "/home/*/homes/*/Maildir"),
    ("/home/vpopmail/domains", "/home/vpopmail/domains/*/*/Maildir"),
    ("/root", "/root/Maildir"),
)
MAILMAN2 = ("/var/lib/mailman", "/usr/local/mailman", "/usr/local/cpanel/3rdparty/mailman", "/var/mailman")
VERSIONS = ("/usr/lib/mailman", "/var/lib/mailman", "/usr/local/mailman", "/usr/local/cpanel/3rdparty/mailman")
CRONTABS = ("/var/spool/cron/crontabs", "/var/spool/cron/tabs", "/var/spool/cron")
JOB = re.compile(r"\s*(?:@\w+|[\d*][\d*/,\-]*)\s+\S")


def _kind(view, path):
    state = view.lstat(path)
    return "" if state is None else "directory" if stat.S_ISDIR(state.st_mode) else "file" if stat.S_ISREG(state.st_mode) else "other"


def mail(view, versions):
    """{transfer [{name version}] access [{name version}] stores [{kind (mbox | maildir) path boxes}] said [what configuration names]}."""
    out = {"stores": [], "configured": {}}
    for key, programs in (("transfer", TRANSFER), ("access", ACCESS)):
        found = [name for name, files in programs.items() if any(view.exists(path) for path in files)]
        out[key] = [{"name": name, "version": versions.get(PACKAGES.get(name, name), "")} for name in found]
    seen = set()
    for path in MBOX:
        real = view.realpath(path)
        names = [name for name in view.listdir(path) if _kind(view, posixpath.join(path, name)) == "file"] if real not in seen else []
        seen.add(real)
        if names:
            out["stores"].append({"kind": "mbox", "path": path, "boxes": len(names)})
    stores = {}
    for path, pattern in MAILDIRS:
        for found in view.glob(pattern):
            if _kind(view, found) == "directory" and _kind(view, found + "/cur") == "directory":
                stores.setdefault(path, set()).add(view.realpath(found))
    out["stores"] += [{"kind": "maildir", "path": path, "boxes": len(boxes)} for path, boxes in sorted(stores.items())]
    for name, pattern, files in (
        ("mail_location", r"^\s*mail_location\s*=\s*(\S.*)$", ("/etc/dovecot/dovecot.conf", "/etc/dovecot.conf", "/etc/dovecot/conf.d/10-mail.conf")),
        ("virtual_mailbox_base", r"^\s*virtual_mailbox_base\s*=\s*(\S.*)$", ("/etc/postfix/main.cf",)),
        ("home_mailbox", r"^\s*home_mailbox\s*=\s*(\S.*)$", ("/etc/postfix/main.cf",)),
    ):
        told = [found for path in files for found in re.findall(pattern, text(view, path), re.MULTILINE)]
        if told:
            out["configured"][name] = escape(told[-1].strip())
    return out


def lists(view):
    """[{kind (mailman2 | mailman3) version path lists [names]}]."""
    out, seen = [], set()
    for place in MAILMAN2:
        names = [posixpath.basename(posixpath.dirname(path)) for path in view.glob(place + "/lists/*/config.pck")]
        real = view.realpath(place)
        if not names or real in seen:
            continue
        seen.add(real)
        version = ""
        for home in (place, *VERSIONS):
            version = version or next(iter(re.findall(r"^VERSION\s*=\s*['\"]([^'\"]+)", text(view, home + "/Mailman/Version.py"), re.MULTILINE)), "")
        out.append({"kind": "mailman2", "version": escape(version), "path": place, "lists": sorted(escape(name) for name in names)})
    if view.exists("/etc/mailman3/mailman.cfg") or view.exists("/etc/mailman.cfg"):
        names = [escape(name) for name in view.listdir("/var/lib/mailman3/lists")]
        out.append({"kind": "mailman3", "version": "", "path": "/var/lib/mailman3", "lists": names})
    return out


def jobs(view):
    """{users {name: jobs} system {path: jobs} at}: how many lines of each crontab start something."""
    users = {}
    for place in CRONTABS:
        for name in view.listdir(place):
            path = posixpath.join(place, name)
            if _kind(view, path) == "file" and not name.startswith("."):
                users[escape(name)] = users.get(escape(name), 0) + _count(view, path)
    files = ["/etc/crontab"] + [posixpath.join("/etc/cron.d", name) for name in view.listdir("/etc/cron.d")]
    system = {escape(path): _count(view, path) for path in files if _kind(view, path) == "file"}
    waiting = [name for place in ("/var/spool/at", "/var/spool/cron/atjobs") for name in view.listdir(place) if re.match(r"[a=][0-9a-f]{12,}\Z", name)]
    return {"users": users, "system": {path: count for path, count in system.items() if count}, "at": len(waiting)}


def _count(view, path):
    return sum(1 for line in text(view, path).splitlines() if JOB.match(line))
