# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stand-in's pleskbackup: real archives in the layout of facts 1.3, and a switch per failure (they are listed in __init__.py)."""

from __future__ import annotations

import json
import os
import sys
import time
from pathlib import Path

from stand_ins import mariadb
from stand_ins.kit import flipped, real, switched, tar_bytes, text
from stand_ins.plesk import store, volumes, world
from stand_ins.plesk.describe import Description

WITHOUT = {"-exclude-files": ("user-data",), "-exclude-mail": ("mailbox",), "-exclude-databases": ("sqldump",)}


class Dump:
    """What is put into one backup. entries: {path: bytes}, in the order of the archive."""

    def __init__(self, root, excluded=(), password=""):
        self.root, self.excluded, self._password = root, excluded, password
        self._store, self._tables, self.entries = store.Store(root), {}, {}
        self.version = text(root, text(root, "/stand-in/product") + "/version").split()[0]
        self.stale = switched(root, "stale")
        self.stamp = time.strftime("%y%m%d%H%M", time.localtime(time.time() - (40 * 86400 if self.stale else 0)))
        self.packed = ".tzst" if volumes.zstd() else ".tgz"
        key = Path(real(root, "/etc/psa/private/secret_key"))
        self._key = key.read_bytes() if key.exists() else b""
        self.password_type = "plain" if text(root, "/stand-in/plain-backups").strip() == "true" else "sym"

    def rows(self, table):
        """Rows of a table, as they were when the backup is a stale one."""
        if table not in self._tables:
            rows = self._store.rows(table)
            # what was made last is not in an old manifest
            self._tables[table] = rows[:-1] if self.stale and table in ("mail", "data_bases", "domainaliases") else rows
        return self._tables[table]

    def left_out(self, kind, name):
        return "%s:%s" % (kind, name) == switched(self.root, "missing")

    def altered(self, kind, value, name):
        return value + ".altered" if "%s:%s" % (kind, name) == switched(self.root, "altered") else value

    def password(self, kept):
        plain = world.decrypted(self._key, kept)
        if self.password_type == "plain":
            return plain
        return world.encrypted(self._password.encode() if self._password else self._key, plain, kept)

    def describe(self, path, xml):
        self.entries[path] = xml.encode("utf-8")

    def volume(self, path, make):
        """Put a volume into the backup; False when this kind is excluded."""
        if any(word in os.path.basename(path) for option in self.excluded for word in WITHOUT.get(option, ())):
            return False
        data = make()
        if switched(self.root, "inner") and switched(self.root, "inner") in path:
            data = data[: len(data) // 2]
        if switched(self.root, "empty-volume") and switched(self.root, "empty-volume") in path:
            data = b""
        if not (switched(self.root, "member") and switched(self.root, "member") in path):
            self.entries[path] = data
        return True

    def extension(self):
        return volumes.nested("wp-toolkit", b'{"instances": 3}')

    def licence(self):
        return volumes.packed(tar_bytes({"key.xml": b"<key/>"}))

    def mailbox(self, domain, name):
        return lambda: self._tree("mail/%s/%s" % (domain, name))

    def site(self, domain):
        return lambda: self._tree("site/%s" % domain)

    def _tree(self, below):
        base = Path(real(self.root, "/stand-in/files/" + below))
        found = sorted(path for path in base.rglob("*") if path.is_file()) if base.is_dir() else []
        return tar_bytes({"./": None, **{str(path.relative_to(base)): path.read_bytes() for path in found}}, "gz")

    def sqldump(self, database):
        def make():
            tables = mariadb.contents(self.root, database)
            sql = volumes.dump(database, tables, switched(self.root, "silent-dump") != database, switched(self.root, "half-dump") != database)
            return tar_bytes({"backup_%s_sqldump_%s.sql" % (database, self.stamp): b"" if switched(self.root, "empty-dump") == database else sql}, "gz")

        return make

    def archive(self):
        """The exported file: the signed description first, then everything that it names."""
        xml = Description(self).server()
        if switched(self.root, "bomb"):
            entities = "".join('<!ENTITY a%d "%s">' % (n, "&a%d;" % (n - 1) * 10 if n else "boom") for n in range(9))
            xml = xml.replace("?>\n", "?>\n<!DOCTYPE x [%s<!ENTITY f SYSTEM 'file:///etc/passwd'>]>\n" % entities, 1)
        key = text(self.root, "/stand-in/signing-key").encode()
        held = {"backup_info_%s.xml" % self.stamp: volumes.signed(xml, b"another server" if switched(self.root, "foreign") else key)}
        held[".discovered/backup_info_%s/" % self.stamp] = None
        held[".discovered/backup_info_%s/dumpresult_SUCCESS" % self.stamp] = b"1"
        held.update(sorted(self.entries.items()))
        return held


def main(root, arguments):
    """pleskbackup --server ... -output-file FILE; its exit status says nothing."""
    root = str(root)
    log(root, "pleskbackup")
    if switched(root, "busy"):
        print("Unable to start the backup: another backup process is already running", file=sys.stderr)
        return 1
    if "--server" not in arguments or "-output-file" not in arguments:
        print("pleskbackup: wrong options", file=sys.stderr)
        return 2
    if switched(root, "nothing"):
        return 0
    target = arguments[arguments.index("-output-file") + 1]
    try:
        dump = Dump(root, [word for word in arguments if word in WITHOUT], os.environ.get("PLESK_BACKUP_PASSWORD", ""))
        data = tar_bytes(dump.archive())
    except store.Down as exc:
        print("Runtime error: %s" % exc, file=sys.stderr)
        return 1
    return write(root, target, data)


def write(root, target, data):
    """Write the file, with what is switched on."""
    print("Backup started\n25% done\n100% done")
    if switched(root, "warning"):
        print('WARNING: the mail name "spam" has no limits set: the default was used. Error reporting is off.', file=sys.stderr)
    if switched(root, "truncated"):
        data = data[: len(data) * 3 // 5]
    if switched(root, "flipped"):
        # in a customer's volume, a few bytes behind gzip's header
        place = data.find(b"\x1f\x8b\x08") + 40 if switched(root, "flipped") == "yes" else int(switched(root, "flipped"))
        data = flipped(data, place)
    if switched(root, "full"):
        Path(target).write_bytes(data[: len(data) // 3])
        print("Unable to write the backup: No space left on device", file=sys.stderr)
        return 1
    Path(target).write_bytes(data)
    return int(switched(root, "nonzero") or 0)


def log(root, name):
    """Which program ran, and the names of its environment's variables that matter: a secret belongs there or nowhere."""
    with open(real(root, "/stand-in/calls"), "a", encoding="utf-8") as handle:
        handle.write(json.dumps({"program": name, "environment": sorted(key for key in os.environ if "PASSWORD" in key)}) + "\n")
