#!/usr/bin/env python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Counts and digests of what customers care about, taken without any of the project's code, as one JSON object."""

from __future__ import annotations

import email.header
import hashlib
import json
import os
import re
import subprocess

NOTICE = re.compile(rb"^Subject:\s+The\s+\S+\s+list\s+has\s+\d+\s+moderation\s+requests\s+waiting", re.M)


def run(*argv):
    return subprocess.run(argv, capture_output=True, check=False, env=dict(os.environ, LC_ALL="C.UTF-8")).stdout


def lines(*argv):
    return sorted(line.strip() for line in run(*argv).decode("utf-8", "backslashreplace").splitlines())


def digest(data):
    return hashlib.sha256(data).hexdigest()


def tree(top):
    """Digest over names, owners, modes and contents of a tree, customers' logs and sessions left out."""
    out = hashlib.sha256()
    for folder, folders, names in os.walk(os.fsencode(top)):
        folders.sort()
        for name in sorted(names):
            path = os.path.join(folder, name)
            if b"dovecot" in name or b"/Maildir" in path or b"/mail/" in path or os.path.islink(path) or not os.path.isfile(path):
                continue
            stat = os.lstat(path)
            with open(path, "rb") as handle:
                content = hashlib.sha256(handle.read()).hexdigest()
            out.update(("%r %d %d %o %s\n" % (path, stat.st_uid, stat.st_gid, stat.st_mode, content)).encode())
    return out.hexdigest()


def databases():
    """mysqldump of each customer's tables, without its comments and version-dependent headers: digest of the INSERTs."""
    found = {}
    names = [n for n in lines("mariadb", "-N", "-e", "show databases") if n not in ("information_schema", "mysql", "performance_schema", "sys")]
    for name in names:
        dump = run(
            "mariadb-dump",
            "--skip-comments",
            "--no-create-info",
            "--hex-blob",
            "--order-by-primary",
            "--skip-extended-insert",
            "--skip-triggers",
            "--default-character-set=utf8mb4",
            name,
        )
        rows = sorted(line for line in dump.splitlines() if line.startswith(b"INSERT") and not re.search(rb"_options`|_transient|`cron`", line[:60]))
        found[name] = [len(rows), digest(b"\n".join(rows))]
    return found


def messages():
    """Digests of all messages in maildirs, by file content; the mboxes' count of From_ lines.

    Without Mailman's notices to moderators: a run that crosses 8 o'clock has more of them.
    """
    found, mbox = [], {}
    for folder, _folders, names in os.walk("/home"):
        if os.path.basename(folder) in ("cur", "new"):
            for name in names:
                held = content(os.path.join(folder, name))
                if not NOTICE.search(held):
                    found.append(digest(held))
    for name in sorted(os.listdir("/var/mail")):
        held = content("/var/mail/" + name)
        mbox[name] = len(re.findall(rb"^From ", held, re.M)) - len(NOTICE.findall(held))
    return [len(found), digest("".join(sorted(found)).encode()), mbox]


def content(path):
    with open(path, "rb") as handle:
        return handle.read()


def mailing_lists():
    names = lines("runuser", "-u", "list", "--", "mailman", "lists", "-q")
    # Mailman of Debian 11 says names as a header has them, encoded; those of 12 and 13 say them as they are
    return {name: sorted(decoded(line) for line in lines("runuser", "-u", "list", "--", "mailman", "members", name)) for name in names}


def decoded(line):
    return str(email.header.make_header(email.header.decode_header(line)))


def main():
    print(
        json.dumps(
            {
                "release": lines("sh", "-c", ". /etc/os-release; echo $VERSION_CODENAME"),
                "packages": lines("dpkg-query", "-W", "-f", "${db:Status-Abbrev} ${Package} ${Version}\n"),
                "dpkg": digest(content("/var/lib/dpkg/status")),
                "apt": digest(b"".join(run("sha256sum", p) for p in lines("find", "/etc/apt", "-type", "f"))),
                "accounts": lines("getent", "passwd"),
                "shadow": digest(run("getent", "shadow")),
                "home": tree("/home"),
                "sites": tree("/var/www"),
                "databases": databases(),
                "postgresql": lines("runuser", "-u", "postgres", "--", "psql", "-AtXc", "select datname from pg_database where not datistemplate"),
                "messages": messages(),
                "queue": len(lines("postqueue", "-j")),
                "lists": mailing_lists(),
                "zones": {
                    name: lines("dig", "+short", "@127.0.0.1", name, "NS") + lines("dig", "+short", "@127.0.0.1", name, "MX")
                    for name in re.findall(r'zone "([^"]+\.test)"', run("named-checkconf", "-p").decode())
                },
                "crontabs": {user: digest(run("crontab", "-l", "-u", user)) for user in sorted(os.listdir("/var/spool/cron/crontabs"))},
            },
            sort_keys=True,
        )
    )


if __name__ == "__main__":
    main()
