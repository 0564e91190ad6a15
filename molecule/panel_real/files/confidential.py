#!/usr/bin/python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the panels on this host made that no log may show, besides what was planted: hashes, keys, passwords of their own. As JSON {what it is: text}."""

from __future__ import annotations

import json
import os
import re
import shutil
import sqlite3
import subprocess
import sys

# Panel, file, what of it is secret.
TEXTS = (
    ("mailman", "/etc/mailman3/mailman.cfg", r"(?m)^admin_pass: (\S+)"),
    ("modoboa", "/srv/modoboa/instance/instance/settings.py", r"(?m)^SECRET_KEY = '([^']+)"),
    # a line from the middle of a key
    ("modoboa", "/srv/modoboa/instance/.env", r"PRIVATE KEY-----\s+(\S{40,})"),
    ("modoboa", "/srv/modoboa/dkim/lists.test.pem", r"PRIVATE KEY-----\s+(\S{40,})"),
)
FILES = (
    ("/var/lib/mailman3/data/mailman.db", "SELECT password FROM user UNION SELECT moderator_password FROM mailinglist"),
    ("/var/lib/postfixadmin/postfixadmin.db", "SELECT password FROM mailbox UNION SELECT password FROM admin"),
    ("/srv/modoboa/modoboa.db", "SELECT password FROM core_user"),
)
SERVERS = (
    (["runuser", "-u", "postgres", "--", "psql", "-XAtqd", "mailman", "-c"], 'SELECT password FROM "user"'),
    (["mariadb", "-NBr", "postfixadmin", "-e"], "SELECT password FROM mailbox UNION SELECT password FROM admin"),
)


def found():
    for panel, path, pattern in TEXTS:
        if os.path.exists(path):
            with open(path, encoding="utf-8") as handle:
                for number, text in enumerate(re.findall(pattern, handle.read())):
                    yield "%s %s %d" % (panel, path, number), text
    for path, question in FILES:
        if os.path.exists(path) and os.path.getsize(path):
            try:
                rows = sqlite3.connect("file:%s?mode=ro" % path, uri=True).execute(question).fetchall()
            except sqlite3.OperationalError as exc:
                # Mailman that was never started, PostfixAdmin that was never set up
                if "no such table" not in str(exc):
                    raise
                rows = []
            for number, (value,) in enumerate(rows):
                yield "%s %d" % (path, number), value.decode("latin-1") if isinstance(value, bytes) else value
    for command, question in SERVERS:
        if not shutil.which(command[0]):
            continue
        # fails where the server or its database is not
        done = subprocess.run(command + [question], capture_output=True, check=False)
        for number, line in enumerate(done.stdout.decode().splitlines()):
            yield "%s %d" % (command[-2], number), line


def main():
    # what is short is found everywhere
    json.dump({name: text for name, text in found() if text and len(text) >= 12}, sys.stdout)


if __name__ == "__main__":
    main()
