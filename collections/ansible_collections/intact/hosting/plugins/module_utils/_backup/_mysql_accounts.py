# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Accounts of MariaDB and MySQL as the server's own statements, never the tables of the database mysql, which belong to the version that wrote them."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._backup._dump import Statements, stream_path
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

ENDING = b"-- Dump completed"
_PLUGINS = "SELECT 'plugin', PLUGIN_NAME, PLUGIN_LIBRARY FROM information_schema.PLUGINS WHERE PLUGIN_TYPE = 'AUTHENTICATION' AND PLUGIN_LIBRARY <> '';"
_ROLES = "SELECT 'role', HEX(User), '' FROM mysql.user WHERE is_role = 'Y' AND User <> 'PUBLIC' ORDER BY User;"
_USERS = (
    "SELECT 'user', HEX(User), HEX(Host) FROM mysql.user"
    " WHERE User NOT IN ('mariadb.sys', 'mysql.sys', 'mysql.session', 'mysql.infoschema')%s ORDER BY User, Host;"
)


def accounts(system):
    """[Statements] with users, roles and grants of the server; [] without one. They hold password hashes: secrets."""
    client = _mysql.program(system)
    if not client:
        return []
    items = _mysql.account_items(system, client)
    mariadb = "MARIADB" in items[_mysql.NAME]["version"].upper()
    listing = [_PLUGINS, _ROLES, _USERS % " AND is_role = 'N'"] if mariadb else [_USERS % ""]
    found, said = _mysql.ask(system, client, listing + ["SELECT 'end';"])
    if ["end"] not in found:
        raise IntactError("the database server gave no list of accounts: %s" % said)
    people = [(row[0], _account(row)) for row in found if row[0] in ("role", "user")]
    make, ask = ["INSTALL PLUGIN IF NOT EXISTS %s SONAME '%s';" % (_mysql.quote(row[1]), row[2].replace("'", "")) for row in found if row[0] == "plugin"], []
    for kind, who in people:
        make += ["CREATE ROLE IF NOT EXISTS %s;" % who] if kind == "role" else []
        ask += ["SELECT 'of', 'grants';", "SHOW GRANTS FOR %s;" % who] if kind == "role" else []
        ask += ["SELECT 'of', 'user';", "SHOW CREATE USER %s;" % who, "SELECT 'of', 'grants';", "SHOW GRANTS FOR %s;" % who] if kind == "user" else []
    # MySQL 8 prints hashes as hexadecimal only when it is asked to
    hexadecimal = [] if mariadb else ["SET SESSION print_identified_with_as_hex = ON;"]
    answers, said = _mysql.ask(system, client, hexadecimal + ask + ["SELECT 'end';"])
    if ["end"] not in answers:
        raise IntactError("the database server did not show all accounts: %s" % said)
    wrong = [line for line in said.splitlines() if line.startswith("ERROR") and "print_identified" not in line]
    if wrong:
        raise IntactError("the database server did not show all accounts: %s" % wrong[0])
    users, grants, what = [], [], ""
    for row in answers[:-1]:
        if row[:1] == ["of"] and len(row) == 2:
            what = row[1]
        elif what == "user":
            users += _created("\t".join(row))
        else:
            grants.append(_unescaped("\t".join(row)) + ";")
    text = "\n".join(["-- Accounts and rights", "SET NAMES utf8mb4;"] + make + users + grants + ["FLUSH PRIVILEGES;", ENDING.decode(), ""])
    name = _mysql.NAME + " accounts"
    return [Statements(name, stream_path(name, "mysql"), text.encode("utf-8", "surrogateescape"), ENDING, items)]


def _account(row):
    user, host = _mysql.unhex(row[1]), _mysql.unhex(row[2])
    return _mysql.quote(user) + ("" if row[0] == "role" else "@" + _mysql.quote(host))


def _unescaped(text):
    """What the client's batch mode made of tabs, newlines and backslashes, made undone."""
    return re.sub(r"\\([tn0\\])", lambda m: {"t": "\t", "n": "\n", "0": "\0", "\\": "\\"}[m.group(1)], text)


def _created(line):
    """Statements from SHOW CREATE USER: it may be there already, on a fresh host, and must become what it was."""
    text = _unescaped(line)
    head, _space, rest = text.partition("CREATE USER ")
    if head:
        return [text + ";"]
    # a default role can only be set when it is granted: SHOW GRANTS tells it again
    rest = re.sub(r" DEFAULT ROLE (?:[`'][^`']*[`'](?:@[`'][^`']*[`'])?,?)+", "", rest)
    who = re.match(r"(?:`(?:[^`]|``)*`|'(?:[^']|\\')*')@(?:`(?:[^`]|``)*`|'(?:[^']|\\')*')", rest)
    if not who:
        return ["CREATE USER %s;" % rest]
    more = rest[who.end() :]
    # nothing is shown of a user without a password: one that is there with a way in of its own must lose it
    return [
        "CREATE USER IF NOT EXISTS %s;" % who.group(0),
        "ALTER USER %s%s%s;" % (who.group(0), "" if more.startswith(" IDENTIFIED") else " IDENTIFIED BY ''", more),
    ]
