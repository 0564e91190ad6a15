# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The host's own database servers in a restore: what is there is kept aside as a dump, the backup's dump is loaded, and what is there then is compared."""

from __future__ import annotations

import os
import subprocess
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._backup import _loading, mysql, postgresql
from ansible_collections.intact.hosting.plugins.module_utils._backup._dump import environment
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql, _postgresql, databases
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

BLOCK = 1 << 16
ENGINES = {_mysql.NAME: mysql, _postgresql.NAME: postgresql}


def engine(name):
    """The engine's module for a stream's name, or IntactError."""
    kind = _loading.engine(name).partition("(")[0]
    if kind not in ENGINES:
        raise IntactError("%s can't be loaded by a restore: restore its file" % name)
    return ENGINES[kind]


def account(name):
    """Whether a stream holds a server's accounts, and no database."""
    return ":" not in name


class Databases:
    """view: the System of the host, with the class's options. aside: directory for dumps of what is overwritten."""

    def __init__(self, view, aside):
        self.view, self.aside = view, aside

    def there(self, name):
        """Whether the host has a database of this name that holds anything."""
        if account(name) or name not in engine(name).databases(self.view):
            return False
        with engine(name).open(self.view, name) as dump:
            items = dump.section()
            dump.process.kill()
        return any(item.get("kind") not in ("database", "server") for item in items.values())

    def put_aside(self, name):
        """Dump what the host has by this name, whole, before it is overwritten; its path, or None when there is nothing."""
        if account(name) or not self.there(name):
            return None
        with engine(name).open(self.view, name) as dump:
            path = os.path.join(self.aside, dump.path)
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            tail = b""
            with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
                for block in iter(lambda: dump.process.stdout.read(BLOCK), b""):
                    handle.write(block)
                    tail = (tail + block)[-4096:]
                handle.flush()
                os.fsync(handle.fileno())
            if dump.process.wait() != 0 or not dump.complete(tail):
                raise IntactError("%s could not be kept aside, so it is not overwritten: %s" % (name, dump.said()))
        return path

    def load(self, name, stream):
        """Load a dump into the host's server: sentences with which it refused a part."""
        argv = self._mysql() if engine(name) is mysql else self._postgresql(name)
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(argv, stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, env=environment())
            try:
                for block in iter(lambda: stream.read(BLOCK), b""):
                    process.stdin.write(block)
                process.stdin.close()
            except BrokenPipeError:
                pass  # its words tell why
            status = process.wait()
            errors.seek(0)
            said = errors.read().decode("utf-8", "backslashreplace")
        wrong = [line.partition("near '")[0] for line in said.splitlines() if "ERROR" in line and "already exists" not in line]
        if status and not wrong:
            raise IntactError("%s: the client ended with status %d: %s" % (name, status, said[-300:]))
        return wrong

    def _mysql(self):
        client = _mysql.program(self.view)
        if not client:
            raise IntactError("no MariaDB or MySQL is installed on this host: install it, then run the restore again")
        defaults = self.view.options.get("mysql_defaults_file")
        words = ["--defaults-extra-file=%s" % defaults] if defaults else []
        # binary mode: no word in a customer's data is a command to the client; forced: a view may want a database that comes later
        return [client] + words + ["--protocol=socket", "--binary-mode", "--force", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"]

    def _postgresql(self, name):
        label = _loading.engine(name)
        cluster = dict(_postgresql.labelled(_postgresql.clusters(self.view))).get(label)
        if cluster is None:
            raise IntactError("there is no cluster %s on this host: make it, then run the restore again" % label)
        return postgresql.AS_OWNER + ["psql", "-X", "-q", "-p", str(cluster["port"]), "-v", "ON_ERROR_STOP=0", "-d", "template1"]

    def compare(self, name, items):
        """Findings of a loaded database against the manifest's items."""
        if account(name):
            return []
        old = {s: item for s, item in items.items() if s == name or s.startswith(name + ".") or item.get("database") == name.partition(":")[2]}
        with engine(name).open(self.view, name) as dump:
            new = dump.section()
            dump.process.kill()
        return databases.compare({"items": old}, {"items": new})
