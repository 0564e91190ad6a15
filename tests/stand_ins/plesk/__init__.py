# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in of Plesk Obsidian: programs with a store of psa's tables, and real archives. It is not Plesk, and no Plesk was at hand when it was made.

From the facts (section 1): paths; `plesk db -B -N -e`, `plesk version`, BUSY of the installer, options of pleskbackup and PLESK_BACKUP_PASSWORD; names and
nesting of the archive's members (a tar of tgz and tzst, three levels and more); the description's elements as virtualmin-gpl reads them; that a file made by
pleskbackup is signed and only its own server can check it; the sentence "Backup file has wrong signature for this server" (kb 6164); that a tar has to be
imported by --info before it can be restored; that a restore overwrites what is in the backup and leaves the rest; psa's columns; daily dumps; lines that end
in [OK], [WARNING], [ERROR]; sym passwords.
Guessed: every exit status; wording besides the above; the signature's shape; the cipher; what describe.py calls guessed.

Programs: plesk (version, db, bin pleskbackup|pleskrestore|server_pref, installer, repair), backup_sign, xmllint, df, systemctl, and the clients of the MariaDB
stand-in. Switches (kit.switch(root, NAME, VALUE)), one per failure:
  truncated, flipped (or =BYTE), full (the disk), nothing (exit 0 and no file), busy, installer-busy, space, warning, nonzero=STATUS, foreign (signature),
  stale, missing=KIND:NAME, altered=KIND:NAME, member=PART OF A PATH (referenced, not there), inner=PART OF A PATH (a broken volume),
  empty-volume=PART OF A PATH, empty-dump=DB, silent-dump=DB (no rows), half-dump=DB, bomb (entities), schema, kill-restore (once: the database ends),
  kill-caller (once: who started the restore ends, and it goes on), corrupt-daily, repair-error, mysql-refused.
"""

from __future__ import annotations

import gzip
import os
import time

from stand_ins import mariadb
from stand_ins.kit import install_program, process, put, real, switched
from stand_ins.plesk import store, volumes
from stand_ins.plesk.world import world as make_world

__all__ = ["install", "process"]
DUMPS = "/var/lib/psa/dumps"
# of the element at the top only: Plesk's own schema is not ours to copy
SCHEMA = """<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema"><xs:element name="migration-dump"><xs:complexType>
<xs:sequence><xs:any processContents="skip" minOccurs="0" maxOccurs="unbounded"/></xs:sequence><xs:anyAttribute processContents="skip"/>
</xs:complexType></xs:element></xs:schema>
"""


def install(root, seed=1, version="18.0.62.2", product="/opt/psa", server=None):
    """A host with Plesk, and its World. server: an option file of a running MariaDB that keeps psa instead; the customers' databases too, when root is "".

    root "": this very host, with its own programs; the panel is all that comes.
    """
    world = make_world(seed, int(version.split(".")[0]))
    if root:
        mariadb.install(root, {"admin": world.shadow, "root": None})
        put(root, "/etc/hostname", "panel.example.com\n")
        put(root, "/.proc/1/cmdline", "/sbin/init\0")
    put(root, "/stand-in/product", product)
    put(root, "/stand-in/signing-key", "server key %s %s" % (seed, os.urandom(8).hex()), 0o600)
    put(root, "/etc/psa/psa.conf", "# Plesk\nPRODUCT_ROOT_D %s\nDUMP_D %s\nHTTPD_VHOSTS_D /var/www/vhosts\n" % (product, DUMPS))
    put(root, "/etc/psa/.psa.shadow", world.shadow, 0o600)
    put(root, product + "/version", "%s Debian 12 1800260109.12\n" % version)
    put(root, DUMPS + "/.keep")
    for path, content in world.files.items():
        put(root, "/stand-in/files/" + path, content)
    for user in world.tables["sys_users"]:
        world.secrets["cron of %s" % user["login"]] = secret = "planted-token-%s" % user["account_id"]
        put(root, "/var/spool/cron/crontabs/" + user["login"], "# jobs\n*/5 * * * * curl https://example.com/?k=%s\n@daily /bin/true\n" % secret, 0o600)
    if server:
        put(root, "/stand-in/server", server)
    if not server or not root:
        store.create(root, world)
    for number in range(3):
        daily(root, world, number)
    if world.major >= 10:
        put(root, "/etc/psa/private/secret_key", world.key, 0o600)
        world.secrets["key"] = world.key.hex()
        programs(root, product)
    return world


def programs(root, product):
    """The programs of a Plesk since version 12."""
    put(root, product + "/admin/share/pmmcli/pmmcli-rc", "# pmmcli\nFREE_DISK_SPACE 300\n")
    put(root, product + "/PMM/plesk.xsd", SCHEMA)
    install_program(root, "/usr/sbin/plesk", "plesk.programs", "plesk")
    install_program(root, product + "/admin/sbin/backup_sign", "plesk.programs", "backup_sign")
    tools(root)


def tools(root):
    """What every version's host has. A real host has its own."""
    if not root:
        return
    for name in ("df", "systemctl", "xmllint"):
        install_program(root, "/usr/bin/" + name, "plesk.programs", name)


def daily(root, world, number):
    """A daily dump of the panel's databases, number days old."""
    parts = ["-- MariaDB dump 10.19  Distrib 10.11.14-MariaDB, for debian-linux-gnu (x86_64)\n--\n"]
    others = {"mysql": {"user": (("User", "authentication_string"), [("admin", world.shadow)])}, "roundcubemail": {"users": (("id",), [("1",)])}}
    tables = {table: (list(rows[0]), [tuple(row.values()) for row in rows]) for table, rows in world.tables.items() if rows}
    for name, held in (("mysql", others["mysql"]), ("psa", tables), ("roundcubemail", others["roundcubemail"])):
        body = volumes.dump(name, held).decode("utf-8", "surrogateescape").split("--\n\n", 1)[1].rpartition("\n-- Dump completed")[0]
        parts.append("\n--\n-- Current Database: `%s`\n--\n\nCREATE DATABASE /*!32312 IF NOT EXISTS*/ `%s`;\n\nUSE `%s`;\n\n%s" % (name, name, name, body))
    data = gzip.compress((volumes.SANDBOX + "".join(parts) + "\n-- Dump completed on 2026-11-22  3:25:01\n").encode("utf-8", "surrogateescape"))
    if switched(root, "corrupt-daily"):
        data = data[: len(data) // 2]
    path = "%s/mysql.daily.dump.%d.gz" % (DUMPS, number)
    put(root, path, data, 0o600)
    moment = time.time() - number * 86400
    os.utime(real(root, path), (moment, moment))
