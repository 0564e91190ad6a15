# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The host's own databases in a restore: what is there is kept aside whole, the backup's dump takes its place, and what is there then is compared."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._backup import _live_file, _loading, _throwaway, mysql, postgresql
from ansible_collections.intact.hosting.plugins.module_utils._backup._dump import environment
from ansible_collections.intact.hosting.plugins.module_utils._backup._live_file import BESIDE, free_name
from ansible_collections.intact.hosting.plugins.module_utils._backup._restore_steps import is_account
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _mysql, _postgresql, _sqlite
from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

__all__ = ["BESIDE", "Databases", "engine", "is_file", "wanted"]
BLOCK = 1 << 16
ENGINES = {_mysql.NAME: mysql, _postgresql.NAME: postgresql}
# nothing that anybody made: what a server brings with it
MADE = ("database", "server", "extension")
# what a client says of a refusal, and what of it may be a customer's value or a hash
REFUSED = re.compile(r"(?:\S+: )*\[?(?:ERROR|FATAL)\b")
VALUE = re.compile(r"""((?:entry|value|near|type [a-z ]+):? )(['"]).*\2?""")


def engine(name):
    """The engine's module for a server's stream."""
    return ENGINES[_loading.engine(name).partition("(")[0]]


def is_file(name):
    """Whether a stream is a database that is a file."""
    return _loading.engine(name) == _sqlite.NAME


def wanted(name, manifest):
    """The manifest's items that a stream holds."""
    items = (manifest["sections"].get("databases") or {}).get("items") or {}
    label = _loading.engine(name)
    if is_account(name):
        return {s: item for s, item in items.items() if item["kind"] in ("user", "role", "server") and _loading.engine(s) == label}
    return {s: item for s, item in items.items() if s == name or s.startswith(name + ".") or (_loading.engine(s) == label and _of(item, name))}


def _of(item, name):
    return item.get("database") == name.partition(":")[2] and item["kind"] not in ("user", "role", "server")


def _anything(items):
    """Whether there is anything that somebody made."""
    return any(item.get("kind") not in MADE for item in items.values())


class Databases:
    """view: the System of the host, with the class's options. aside: directory for dumps of what is overwritten.

    file_item(name): what the backup's manifest says of the file that a database is (owner, mode), or None.
    """

    def __init__(self, view, aside, file_item=lambda _name: None):
        self.view, self.aside, self._file_item = view, aside, file_item

    def now(self, name, manifest):
        """Items of what the host has by this name; None when there is nothing."""
        # passwords were digested with the id of the host that was backed up
        view = System(dict(self.view.options, identity=manifest.get("host_id", "")))
        if is_file(name):
            return _live_file.items(view, name)
        if is_account(name):
            with self._accounts(name, view) as dump:
                return wanted(name, {"sections": {"databases": {"items": dump.section()}}}) if dump else None
        if name not in engine(name).databases(view):
            return None
        with engine(name).open(view, name) as dump:
            items = dump.section()
            dump.process.kill()
        return items

    @staticmethod
    @contextlib.contextmanager
    def _accounts(name, view):
        """The server's accounts as a dump; None when there is no such server. There may be several clusters."""
        with contextlib.ExitStack() as held:
            dumps = [held.enter_context(dump) for dump in engine(name).accounts(view)]
            yield next((dump for dump in dumps if dump.name == name), None)

    def state(self, name, manifest):
        """(absent | same | differs, what would be overwritten): what the host has by this name, beside what the backup has."""
        old, new = wanted(name, manifest), self.now(name, manifest)
        if new is None:
            return "absent", []
        if is_account(name):
            # accounts that only one side has are nobody's loss
            people = {s for s in old if old[s]["kind"] != "server"}
            servers = [{s: item for s, item in side.items() if item["kind"] == "server"} for side in (old, new)]
            differing = sorted(s for s in people & set(new) if self._findings(dict(servers[0], **{s: old[s]}), dict(servers[1], **{s: new[s]})))
            return ("differs", differing) if differing else ("same" if people <= set(new) else "absent", [])
        if is_file(name):
            return "same" if not self._findings(old, new) else "absent", []  # the file's own part of the plan tells whether it is newer
        if not self._findings(old, new):
            return "same", []
        return ("differs", [name]) if _anything(new) else ("absent", [])

    @staticmethod
    def _findings(old, new):
        return [finding for finding in _throwaway.compare(_loading.dumped(old, new), _loading.dumped(new, old)) if finding.severity == "blocker"]

    def lacking(self, name):
        """Why this host can't take a stream, or ""."""
        try:
            if not is_file(name):
                self._client(name)
        except IntactError as exc:
            return str(exc)
        return ""

    def put_aside(self, name, manifest):
        """Keep what the host has by this name, whole, and make room: it is dumped, the dump's end is read, and only then the database is dropped."""
        if is_file(name):
            return
        if is_account(name):
            with self._accounts(name, self.view) as dump:
                if dump:
                    self._write(dump.path, [dump.text], lambda _tail: True)
            return
        there = self.now(name, manifest)
        if there is None or not _anything(there):
            return
        if engine(name) is postgresql and name.endswith(":postgres"):
            # the server's own questions are asked there
            raise IntactError("%s holds something else than the backup and is not dropped: empty it, or name it in keep" % name)
        with engine(name).open(self.view, name) as dump:
            blocks = iter(lambda: dump.process.stdout.read(BLOCK), b"")
            if not self._write(dump.path, blocks, lambda tail: dump.process.wait() == 0 and dump.complete(tail)):
                raise IntactError("%s could not be kept aside, so it is not overwritten: %s" % (name, dump.said()))
        self.drop(name)

    def _write(self, path, blocks, whole):
        """Keep blocks under aside when they are whole. What was kept before stays: it may be the only one of the host's own."""
        path, tail = os.path.join(self.aside, path), b""
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        with os.fdopen(os.open(path + ".part", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
            for block in blocks:
                handle.write(block)
                tail = (tail + block)[-4096:]
            handle.flush()
            os.fsync(handle.fileno())
        if not whole(tail):
            os.unlink(path + ".part")
            return False
        os.rename(path + ".part", free_name(path))
        fsync_directory(os.path.dirname(path))
        return True

    def drop(self, name):
        """Remove a server's database, whatever is in it."""
        database = unescape(name.partition(":")[2]).decode("utf-8", "surrogateescape")
        if engine(name) is mysql:
            argv, text = self._client(name), "DROP DATABASE IF EXISTS %s;" % _mysql.quote(database)
        else:
            # FORCE ends the applications' sessions (PostgreSQL 13)
            argv, text = self._client(name), 'DROP DATABASE IF EXISTS "%s" WITH (FORCE);' % database.replace('"', '""')
        done = subprocess.run(argv, input=text.encode("utf-8", "surrogateescape"), env=environment(), capture_output=True, check=False)
        if done.returncode or b"ERROR" in done.stderr:
            raise IntactError("%s could not be dropped to make room for the backup's: %s" % (name, done.stderr.decode("utf-8", "replace").strip()[-300:]))

    def load(self, name, stream):
        """Load a dump: sentences with which the server refused a part."""
        if is_file(name):
            _live_file.load(self.view, name, stream, self.aside, self._file_item(name))
            return []
        with tempfile.TemporaryFile() as errors:
            process = subprocess.Popen(self._client(name), stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=errors, env=environment())
            try:
                for block in iter(lambda: stream.read(BLOCK), b""):
                    process.stdin.write(block)
                process.stdin.close()
            except BrokenPipeError:
                pass  # its words tell why
            status = process.wait()
            errors.seek(0)
            said = errors.read().decode("utf-8", "backslashreplace")
        # never the statement itself: it may hold a customer's data or a password's hash
        wrong = [VALUE.sub(r"\1...", line) for line in said.splitlines() if REFUSED.match(line) and "already exists" not in line]
        if status and not wrong:
            raise IntactError("%s: the client ended with status %d: %s" % (name, status, said[-300:]))
        return wrong

    def _client(self, name):
        if engine(name) is mysql:
            client = _mysql.program(self.view)
            if not client:
                raise IntactError("no MariaDB or MySQL is installed on this host: install it, then run the restore again")
            defaults = self.view.options.get("mysql_defaults_file")
            words = ["--defaults-extra-file=%s" % defaults] if defaults else []
            # binary mode: no word in a customer's data is a command to the client; forced: a view may want a database that comes later
            return [client] + words + ["--protocol=socket", "--binary-mode", "--force", "--default-character-set=utf8mb4", "--max-allowed-packet=1G"]
        label = _loading.engine(name)
        cluster = dict(_postgresql.labelled(_postgresql.clusters(self.view))).get(label)
        if cluster is None:
            raise IntactError("there is no cluster %s on this host: make it, then run the restore again" % label)
        # a dump makes its database and connects to it, except that of postgres
        place = "postgres" if name.endswith(":postgres") else "template1"
        return postgresql.AS_OWNER + ["psql", "-X", "-q", "-p", str(cluster["port"]), "-v", "ON_ERROR_STOP=0", "-d", place]

    def compare(self, name, manifest):
        """Findings of what is on the host now against the manifest."""
        old, new = wanted(name, manifest), self.now(name, manifest) or {}
        if is_account(name):
            new = {s: item for s, item in new.items() if s in old}
        return _throwaway.compare(_loading.dumped(old, new), _loading.dumped(new, old))
