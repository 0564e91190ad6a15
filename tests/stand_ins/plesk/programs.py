# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in's programs: plesk with its subcommands, backup_sign, and the host's df, systemctl and xmllint."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from xml.etree import ElementTree

from stand_ins import mariadb
from stand_ins.kit import put, real, switch, switched, text
from stand_ins.plesk import backup, restore, store, volumes


def plesk(root, _name, arguments):
    """plesk SUBCOMMAND."""
    command, rest = (arguments or [""])[0], arguments[1:]
    if command == "db":
        return dump(root, rest[1:]) if rest[:1] == ["dump"] else store.client(root, rest)
    if command == "bin" and rest:
        tools = {"pleskbackup": backup.main, "pleskrestore": restore.main, "server_pref": server_pref}
        if rest[0] in tools:
            return tools[rest[0]](root, rest[1:])
    if command == "version":
        version = text(root, text(root, "/stand-in/product") + "/version").split()[0]
        print("Product version: Plesk Obsidian %s\nOS version: Debian 12\nBuild date: 2026/01/09 12:00" % version)
        return 0
    if command == "installer":
        print('<?xml version="1.0"?>\n<status>%s</status>' % ("BUSY" if switched(root, "installer-busy") else "idle"))
        return 0
    if command == "repair":
        return repair(root, rest)
    print("Unknown command: %s" % " ".join(arguments), file=sys.stderr)
    return 1


def dump(root, names):
    """plesk db dump [DB]: SQL on the standard output."""
    if switched(root, "mysql-refused"):
        print(store.REFUSED, file=sys.stderr)
        return 1
    name = (names or ["psa"])[0]
    sys.stdout.buffer.write(volumes.dump(name, mariadb.contents(root, name)))
    return 0


def server_pref(root, arguments):
    """server_pref --show, and --update -plain-backups true|false. What --show prints is guessed."""
    if arguments[:1] == ["--show"]:
        print("admin-locale: en-US\nplain-backups: %s\nmin-password-strength: strong\nSUCCESS: Display of server preferences complete." % (pref(root)))
        return 0
    if arguments[:2] == ["--update", "-plain-backups"] and arguments[2:] in (["true"], ["false"]):
        put(root, "/stand-in/plain-backups", arguments[2])
        with open(real(root, "/stand-in/calls"), "a", encoding="utf-8") as handle:
            handle.write('{"program": "server_pref", "plain": "%s"}\n' % arguments[2])
        return 0
    print("Unknown option", file=sys.stderr)
    return 1


def pref(root):
    """The preference that is set."""
    return text(root, "/stand-in/plain-backups").strip() or "false"


def repair(root, arguments):
    """plesk repair db [-n|-y]: one line for each check."""
    if arguments[:1] != ["db"]:
        print("Unknown command: %s" % " ".join(arguments), file=sys.stderr)
        return 1
    print("\nChecking the Plesk database using the native database server tools .. [%s]" % ("ERROR" if switched(root, "mysql-refused") else "OK"))
    if switched(root, "mysql-refused"):
        print(store.REFUSED)
        return 1
    held = store.Store(root)
    known = {row["id"] for row in held.rows("domains")}
    lost = [row for row in held.rows("mail") if row["dom_id"] not in known]
    if lost and "-y" in arguments:
        held.run(*[("DELETE FROM mail WHERE id = ?", row["id"]) for row in lost])
        lost = []
    wrong = lost or switched(root, "repair-error")
    print("Checking the structure of the Plesk database ...................... [OK]")
    print("Checking the consistency of the Plesk database .................... [%s]" % ("ERROR" if wrong else "OK"))
    print("Error messages: %d; Warnings: 0; Errors resolved: 0\n" % (1 if wrong else 0))
    return 1 if wrong else 0


def backup_sign(root, _name, arguments):
    """backup_sign verify FILE: the description without its signature, when it is this server's."""
    if arguments[:1] != ["verify"] or len(arguments) != 2:
        return 2
    raw, ours = volumes.unsigned(Path(arguments[1]).read_bytes(), text(root, "/stand-in/signing-key").encode())
    if not ours:
        print("Signature verification failed", file=sys.stderr)
        return 1
    sys.stdout.buffer.write(raw)
    return 0


def xmllint(root, _name, arguments):
    """xmllint --noout --schema XSD FILE: only whether it is XML, and a validity error that shows a password when that is switched on."""
    path = arguments[-1]
    try:
        tree = ElementTree.parse(path)
    except ElementTree.ParseError as exc:
        print("%s:%d: parser error : %s" % (path, exc.position[0], exc), file=sys.stderr)
        return 1
    if switched(root, "schema"):
        word = next(node.text for node in tree.iter("password") if node.text)
        print("%s:12: element password: Schemas validity error : Element 'password': '%s' is not a valid value." % (path, word), file=sys.stderr)
        print("%s fails to validate" % path, file=sys.stderr)
        return 3
    print("%s validates" % path, file=sys.stderr)
    return 0


def df(root, _name, arguments):
    """df -Pk PATH."""
    free = 10 * 1024 if switched(root, "space") else 100 * 1024 * 1024
    print("Filesystem     1024-blocks      Used Available Capacity Mounted on")
    print("/dev/vda1        206291944 103145972 %9d      50%% /" % free)
    return 0


def systemctl(root, _name, arguments):
    """systemctl start|restart UNIT: a database server comes back."""
    words = [word for word in arguments if not word.startswith("-")]
    if words[:1] in (["start"], ["restart"]) and re.match(r"(mariadb|mysqld?)(\.service)?\Z", words[-1]) and switched(root, "mysql-refused"):
        Path(real(root, "/stand-in/mysql-refused")).unlink()
    if words[:1] == ["is-active"]:
        print("inactive" if switched(root, "mysql-refused") else "active")
        return 3 if switched(root, "mysql-refused") else 0
    return 0


def refuse(root):
    """From here on the database does not answer."""
    switch(root, "mysql-refused", "killed")
