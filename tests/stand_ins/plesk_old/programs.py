# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in's programs: psadump, psarestore, pleskbackup, pleskrestore, and mysql for root's and the panel's questions."""

from __future__ import annotations

import gzip
import os
import sys
import zlib
from pathlib import Path
from xml.etree import ElementTree

from stand_ins import mariadb
from stand_ins.kit import switched, tar_bytes, text
from stand_ins.mariadb import clients
from stand_ins.plesk import backup, store
from stand_ins.plesk.restore import Restorer
from stand_ins.plesk_old import read, stream


def _major(root):
    return int(text(root, text(root, "/stand-in/product") + "/version").split(".")[0])


def _write(root, target, made):
    backup.log(root, "pleskbackup")
    if switched(root, "busy"):
        print("Error: another backup is already running", file=sys.stderr)
        return 1
    if switched(root, "nothing"):
        return 0
    try:
        return backup.write(root, target, made())
    except store.Down as exc:
        print("Error: %s" % exc, file=sys.stderr)
        return 1


def psadump(root, _name, arguments):
    """psadump -f FILE."""
    if arguments[:1] != ["-f"] or len(arguments) != 2:
        return 2
    return _write(root, arguments[1], lambda: stream.make(root, 7))


def pleskbackup(root, _name, arguments):
    """pleskbackup all FILE (8), pleskbackup server [-c] --output-file=FILE (9)."""
    if _major(root) == 8 and arguments[:1] == ["all"] and len(arguments) == 2:
        return _write(root, arguments[1], lambda: stream.make(root, 8))
    if _major(root) == 9 and arguments[:1] == ["server"] and arguments[-1].startswith("--output-file="):
        excluded = list(backup.WITHOUT) if "-c" in arguments else []
        return _write(root, arguments[-1].partition("=")[2], lambda: tar_bytes(Nine(root, excluded).archive()))
    return 2


class Nine(backup.Dump):
    """Plesk 9 keeps passwords as they are."""

    def __init__(self, root, excluded):
        super().__init__(root, excluded)
        self.password_type = "plain"

    def password(self, kept):
        return kept


def psarestore(root, _name, arguments):
    """psarestore -f FILE -m MAP -s MAP [--force]."""
    if not {"-f", "-m", "-s"} <= set(arguments):
        print("psarestore: -f, -m and -s are required", file=sys.stderr)
        return 2
    return _restore(root, arguments[arguments.index("-f") + 1], read.seven)


def pleskrestore(root, _name, arguments):
    """pleskrestore --create-map FILE -map MAP; --restore FILE -map MAP -level all|server."""
    if arguments[:1] == ["--create-map"] and arguments[2:3] == ["-map"]:
        Path(arguments[3]).write_text("# Unchanged IP addresses:\n192.0.2.7 shared -> 192.0.2.7 shared\n")
        return 0
    if arguments[:1] == ["--restore"] and "-map" in arguments and os.path.exists(arguments[arguments.index("-map") + 1]):
        return _restore(root, arguments[1], read.eight)
    print("pleskrestore: wrong options", file=sys.stderr)
    return 2


def _restore(root, path, shape):
    backup.log(root, "pleskrestore")
    try:
        parts = read.parts(Path(path).read_bytes())
        Old(root, shape(ElementTree.fromstring(parts["dump.xml"])), parts).all()
    except (OSError, EOFError, zlib.error, KeyError, ElementTree.ParseError, gzip.BadGzipFile) as exc:
        print("Error: the backup file is corrupted: %s" % exc, file=sys.stderr)
        return 1
    except store.Down as exc:
        print("Error: Lost connection to MySQL server during query: %s" % exc, file=sys.stderr)
        return 1
    print("Restore complete.")
    return 0


class Old(Restorer):
    """Rows from an old description in the shape of a new one; what a database holds comes from its part."""

    def __init__(self, root, tree, parts):
        super().__init__(root, tree)
        self.parts = parts

    def domain(self, node, owner):
        if owner == "admin":
            # Plesk 7's description does not name the customer: a domain that is known keeps its own
            clients_by_id = {row["id"]: row["login"] for row in self.store.rows("clients")}
            known = next((row["cl_id"] for row in self.store.rows("domains") if row["name"] == node.get("name")), None)
            owner = clients_by_id.get(known) or sorted(clients_by_id.values())[0]
        super().domain(node, owner)
        number = next(row["id"] for row in self.store.rows("domains") if row["name"] == node.get("name"))
        for one in node.findall("subdomain"):
            self.put("subdomains", ("dom_id", "name"), dom_id=number, name=one.get("name"), displayName=one.get("name"), sys_user_type="main")

    def put(self, table, by, **values):
        return super().put(table, by, **values) if table != "Subscriptions" else None

    def contents(self, node):
        return [self.parts[node.get("cid")].decode("utf-8", "surrogateescape")] if node.get("cid") else []


def mysql(root, name, arguments):
    """mysql -uadmin -D psa [-B -N -e SQL]; anything else is answered by the stand-in of MariaDB."""
    if "-D" not in arguments:
        return clients.main(root, name, arguments)
    if os.environ.get("MYSQL_PWD") != mariadb.accounts(root)["admin"] or "-uadmin" not in arguments:
        print("ERROR 1045 (28000): Access denied for user 'admin'@'localhost' (using password: YES)", file=sys.stderr)
        return 1
    at = arguments.index("-D")
    return store.client(root, [word for word in arguments[:at] + arguments[at + 2 :] if word != "-uadmin"])
