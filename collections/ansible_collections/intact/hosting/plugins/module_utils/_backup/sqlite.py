# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""SQLite: a database file as one read transaction sees it, and its digests, read by a process that has only the file owner's rights.

What is streamed is the file itself, with a last line behind it by which a cut is told. (SQLite does not mind the line: it counts pages.)
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import re
import shutil
import stat
import sys
import tempfile
import time
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils._backup._dump import TAIL, Dump, Program, stream_path
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _sqlite
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

ENGINE = "sqlite"
ENDING = b"-- intact: whole SQLite file of "
TRAILER = re.compile(rb"\n-- intact: whole SQLite file of (\d+) bytes\n\Z")
# up to here the copy that is streamed is in memory; a larger one is in a file that loses its name at once
IN_MEMORY = 256 * 2**20
# how long we wait for an application that writes
BUSY = 30
# The child imports as we do and only then gives its rights up: the sources may be readable by root only.
_BOOT = "import importlib, json, sys; w = json.loads(sys.argv[1]); sys.path[:] = w['import']; importlib.import_module(w['module']).child(w)"


def databases(system):
    """Names (sqlite:/home/a/db.sqlite) of the files below option sqlite_trees, and of option sqlite_paths."""
    found = set(_sqlite.find(system, system.options.get("sqlite_trees", _sqlite.TREES)))
    for path in system.options.get("sqlite_paths", []):
        status = system.lstat(path)
        if status is None or not stat.S_ISREG(status.st_mode):
            raise IntactError("%s is no file: correct sqlite_paths" % path)
        found.add(path)
    return sorted("%s:%s" % (_sqlite.NAME, escape(path)) for path in found)


def accounts(system):
    """None: who may read the file may read the database."""
    return []


def file_of(name):
    """The path of sqlite:/home/a/db.sqlite."""
    return os.fsdecode(unescape(name.partition(":")[2]))


def open(system, name):  # noqa: A001 (the contract's word)
    """A SqliteDump that is being written. Writers wait at most while the file is copied in memory."""
    path = file_of(name)
    status = system.lstat(path)
    if status is None or not stat.S_ISREG(status.st_mode):
        raise IntactError("%s is not there any more" % name)
    if status.st_uid == 0 and os.getuid() == 0 and os.lstat(os.path.dirname(path)).st_uid != 0:
        # a link beside it would be written through with root's rights
        raise IntactError("%s belongs to root in a directory of somebody else: give it to that user" % name)
    return SqliteDump(name, path, status)


class Reader:
    """A child with the rights of a user, that opens one file, tells its items, and (copy) streams what it saw."""

    def __init__(self, name, path, owner, group, copy):
        self._answer = tempfile.TemporaryFile()  # noqa: SIM115 (closed by close())
        self._scratch = None
        if copy:
            # a name of its own is needed: SQLite looks behind links such as /proc/self/fd/3, and would make a file of what it finds there
            small = os.stat(path).st_size <= IN_MEMORY and os.path.isdir("/dev/shm")
            self._scratch = tempfile.mkdtemp(prefix="intact-", dir="/dev/shm" if small else None)
            if os.getuid() == 0:
                os.chown(self._scratch, owner, group)
        words = {
            "import": [entry for entry in sys.path if entry],
            "module": __name__,
            "name": name,
            "path": escape(path),
            "user": [owner, group],
            "answer": self._answer.fileno(),
            "scratch": self._scratch,
        }
        self._name = name
        self.program = Program([sys.executable or "python3", "-B", "-c", _BOOT, json.dumps(words)], descriptors=[self._answer.fileno()])

    def answer(self, seconds=3600):
        """The items; raises with what SQLite said."""
        deadline = time.monotonic() + seconds
        while time.monotonic() < deadline:
            ended = self.program.poll() is not None
            size = os.fstat(self._answer.fileno()).st_size
            data = os.pread(self._answer.fileno(), size, 0)
            if data.endswith(b"\n"):
                told = json.loads(data)
                if "error" in told:
                    raise IntactError("%s: %s" % (self._name, told["error"]))
                return told["items"]
            if ended:
                raise IntactError("%s: the reader ended: %s" % (self._name, (self.program.said() or "no word").splitlines()[-1]))
            time.sleep(0.02)
        raise IntactError("%s gave no answer within %d s" % (self._name, seconds))

    def close(self):
        """End the child."""
        self.program.close()
        self._answer.close()
        if self._scratch:
            shutil.rmtree(self._scratch, ignore_errors=True)


class SqliteDump(Dump):
    """A file that is being streamed by a child."""

    def __init__(self, name, path, status):
        self._reader = Reader(name, path, status.st_uid, status.st_gid, copy=True)
        super().__init__(name, stream_path(name, ENGINE), self._reader.program, ENDING)

    def section(self):
        """Items of the file."""
        return self._reader.answer()

    def close(self):
        """End the child."""
        self._reader.close()


# What follows runs in the child.


def child(words):
    """Tell the items, then stream the file; all with the owner's rights."""
    answer = os.fdopen(words["answer"], "wb")
    path = os.fsdecode(unescape(words["path"]))
    try:
        if _sqlite.sqlite3 is None:
            raise IntactError("Python's sqlite3 is not installed on this host: install libpython3-stdlib")
        _become(*words["user"])
        source, image = _opened(path), None
        if words["scratch"]:
            source, image = _copied(source, os.path.join(words["scratch"], "copy"))
        server = {"kind": "database", "path": words["path"]}
        items = dict(_sqlite.items_of(System(), source, words["name"], server, []))
        source.close()
    except Exception as exc:
        answer.write(json.dumps({"error": "SQLite can't read it: %s" % exc}).encode() + b"\n")
        answer.close()
        raise SystemExit(1) from exc
    answer.write(json.dumps({"items": items}).encode() + b"\n")
    answer.close()
    if image is not None:
        _stream(image)


def _become(owner, group):
    if os.getuid() == 0 and (owner, group) != (0, 0):
        os.setgroups([])
        os.setgid(group)
        os.setuid(owner)


def _opened(path):
    """A connection inside a read transaction."""
    for mode in ("ro", "rw"):
        # read-write only where a crash left work to undo: what the application itself does when it opens the file next, with the same rights
        connection = _sqlite.sqlite3.connect("file:%s?mode=%s" % (urllib.parse.quote(os.fsencode(path)), mode), uri=True, timeout=BUSY, isolation_level=None)
        try:
            connection.execute("BEGIN")
            connection.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
            return connection
        except _sqlite.sqlite3.OperationalError as exc:
            connection.close()
            if mode == "rw" or "locked" in str(exc):
                raise
    return None


def _copied(source, path):
    """(connection, descriptor) of a new file with what source's read transaction sees; source is let go, the file has no name any more."""
    copy = _sqlite.sqlite3.connect(path, isolation_level=None)
    with contextlib.closing(source), contextlib.closing(copy):
        # nothing may be made beside it
        copy.execute("PRAGMA journal_mode = MEMORY")
        copy.execute("PRAGMA synchronous = OFF")
        source.backup(copy)
    image = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    # immutable: the copy keeps the mark of a file with a log, and has none
    copy = _sqlite.sqlite3.connect("file:%s?mode=ro&immutable=1" % urllib.parse.quote(path), uri=True, isolation_level=None)
    copy.execute("SELECT COUNT(*) FROM sqlite_master").fetchone()
    os.unlink(path)
    return copy, image


def _stream(image):
    size, place = os.fstat(image).st_size, 0
    while place < size:
        data = os.pread(image, 1 << 20, place)
        if not data:
            raise OSError(errno.EIO, "the copy is shorter than it was")
        _write(data)
        place += len(data)
    _write(b"\n%s%d bytes\n" % (ENDING, size))


def _write(data):
    view = memoryview(data)
    while view:
        view = view[os.write(1, view) :]


def cut(path):
    """Take the last line off a restored stream; False when it is not there, or counts another length."""
    with contextlib.closing(_File(path)) as handle:
        size = os.fstat(handle.fd).st_size
        tail = os.pread(handle.fd, TAIL, max(0, size - TAIL))
        match = TRAILER.search(tail)
        if not match or size - len(match.group(0)) != int(match.group(1)):
            return False
        os.ftruncate(handle.fd, int(match.group(1)))
        return True


class _File:
    def __init__(self, path):
        self.fd = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)

    def close(self):
        os.close(self.fd)
