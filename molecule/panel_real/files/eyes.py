#!/usr/bin/python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Another pair of eyes than the project's: plain SQL and plain files, as JSON.

eyes.py mailman|postfixadmin|modoboa [FILE]        a database of SQLite
eyes.py postgresql:DATABASE | mariadb:DATABASE     all rows of a server's database, as its own client tells them
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import sqlite3
import subprocess
import sys

PLACES = {
    "mailman": "/var/lib/mailman3/data/mailman.db",
    "postfixadmin": "/var/lib/postfixadmin/postfixadmin.db",
    "modoboa": "/srv/modoboa/modoboa.db",
}
PEOPLE = """
SELECT m.list_id, m.role, COALESCE(a.email, p.email), m.moderation_action, c.delivery_mode, c.delivery_status, c.preferred_language, c.acknowledge_posts,
  c.receive_own_postings, c.hide_address, m.user_id IS NOT NULL, m._member_id
FROM member m LEFT JOIN address a ON a.id = m.address_id LEFT JOIN user u ON u.id = m.user_id LEFT JOIN address p ON p.id = u._preferred_address_id
LEFT JOIN preferences c ON c.id = m.preferences_id
"""
# Mailman's questions, in words that the schemas of 3.3.3, 3.3.8 and 3.3.10 have in common.
MAILMAN = {
    "people": PEOPLE,
    "users": "SELECT u._user_id, u.display_name, u.password, u.is_server_owner, p.email FROM user u LEFT JOIN address p ON p.id = u._preferred_address_id",
    "addresses": "SELECT a.email, a._original, a.display_name, a.verified_on, u._user_id FROM address a LEFT JOIN user u ON u.id = a.user_id",
    "domains": "SELECT mail_host, description, alias_domain FROM domain",
    "owners": "SELECT d.mail_host, u._user_id FROM domain_owner o JOIN domain d ON d.id = o.domain_id JOIN user u ON u.id = o.user_id",
    "bans": "SELECT list_id, email FROM ban",
    "templates": "SELECT name, context, uri, username, password FROM template",
    "headers": "SELECT l.list_id, h.position, h.header, h.pattern, h.chain FROM headermatch h JOIN mailinglist l ON l.id = h.mailing_list_id",
    "aliases": "SELECT l.list_id, a.alias FROM acceptablealias a JOIN mailinglist l ON l.id = a.mailing_list_id",
    "filters": "SELECT l.list_id, f.filter_type, f.filter_pattern FROM contentfilter f JOIN mailinglist l ON l.id = f.mailing_list_id",
    "archivers": "SELECT l.list_id, a.name, a._is_enabled FROM listarchiver a JOIN mailinglist l ON l.id = a.mailing_list_id "
    # one that is on is the same as one without a row, which is made when somebody looks
    "WHERE a.name = 'prototype' AND a._is_enabled = 0",
}
# What sending and looking moves, and what a newer schema adds.
MOVING = {"id", "next_digest_number", "digest_last_sent_at", "volume", "last_post_at", "post_id", "next_request_id", "dmarc_addresses"}
MOVING |= {"bounce_notify_owner_on_bounce_increment"}
# What running a panel writes.
LIVING = ("core_log", "django_session", "sqlite_sequence", "log")


def plain(value):
    return value.hex() if isinstance(value, bytes) else value


def rows(connection, question):
    return sorted(([plain(value) for value in row] for row in connection.execute(question)), key=repr)


def mailman(connection):
    told = {name: rows(connection, question) for name, question in MAILMAN.items()}
    columns = sorted({row[1] for row in connection.execute("PRAGMA table_info(mailinglist)")} - MOVING)
    lists = rows(connection, "SELECT %s FROM mailinglist" % ", ".join(columns))
    told["lists"] = [dict(zip(columns, row)) for row in lists]  # noqa: B905 (Debian 11's Python)
    told["schema"] = connection.execute("SELECT version_num FROM alembic_version").fetchone()[0]
    told["files"] = {}
    for path, _names, files in os.walk("/var/lib/mailman3/templates"):
        for name in files:
            with open(os.path.join(path, name), "rb") as handle:
                told["files"][os.path.join(path, name)] = hashlib.sha256(handle.read()).hexdigest()
    with open("/etc/mailman3/mailman.cfg", encoding="utf-8") as handle:
        text = handle.read()
    told["archive"] = re.findall(r"(?m)^(?:archive_dir|var_dir): .*$", text) + re.findall(r"(?m)^\[archiver\..*\n(?:.+\n?)*", text)
    return told


def tables(connection):
    out = {}
    for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
        if name not in LIVING:
            out[name] = rows(connection, 'SELECT * FROM "%s"' % name)
    return out


def served(engine, database):
    """{table: its rows, sorted, as the server's own client writes them}"""
    if engine == "postgresql":
        client = ["runuser", "-u", "postgres", "--", "psql", "-XAtqd", database, "-c"]
        known, every = "SELECT tablename FROM pg_tables WHERE schemaname = 'public'", 'COPY (SELECT * FROM "%s" WHERE %s) TO STDOUT'
    else:
        client, known, every = ["mariadb", "-NB", database, "-e"], "SHOW TABLES", "SELECT * FROM `%s` WHERE %s"

    def ask(question):
        return subprocess.run(client + [question], stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()

    # rows of Mailman's that are made when somebody looks, and mean the same as none
    which = {"listarchiver": "name = 'prototype' AND NOT _is_enabled"}
    return {name: sorted(ask(every % (name, which.get(name, "true")))) for name in ask(known) if name not in LIVING}


def main():
    name = sys.argv[1]
    if ":" in name:
        json.dump(served(*name.split(":")), sys.stdout, sort_keys=True)
        return
    path = sys.argv[2] if len(sys.argv) > 2 else PLACES[name]
    connection = sqlite3.connect("file:%s?mode=ro" % path, uri=True)
    told = mailman(connection) if name == "mailman" else tables(connection)
    told["sound"] = connection.execute("PRAGMA integrity_check").fetchone()[0]
    json.dump(told, sys.stdout, sort_keys=True)


if __name__ == "__main__":
    main()
