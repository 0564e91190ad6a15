# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A host made of recorded output: what probes get in tests instead of _baseline._system.System."""

from __future__ import annotations

import fnmatch
import os
import stat as statmod
import time

from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import System
from ansible_collections.intact.hosting.plugins.module_utils._command import Result
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError


class FakeSystem(System):
    """FakeSystem(commands={"ss -H": "output"}, files={"/etc/passwd": b"..."}).

    commands: {argv or its beginning, as tuple or as text split at blanks: answer}; the longest match wins.
    An answer is text or bytes (exit 0), (exit status, out) or (exit status, out, err), a Result, an
    exception to raise, or a callable(argv, stdin) that gives one of these. A program nobody named is not
    installed; one that is named but not with these arguments is a test's mistake: AssertionError.
    files: {path: bytes, text, None (not there) or exception}. Directories are there when a file is below them.
    stats: {path: {"mode": 0o755, "uid": 0, "gid": 0, "type": "d" | "f" | "l" | "b"}} for lstat().
    directories: more directories, empty ones too. links: {path: target} for readlink().
    listeners: {(address, port): function that returns a socket} for dial(); everybody else refuses.
    calls: every argv that was run, for "nothing else was done" assertions.
    """

    def __init__(self, commands=None, files=None, options=None, limits=None, stats=None, links=None, directories=(), clock=time.monotonic, listeners=None):
        super().__init__(options, limits, clock)
        self.commands = {tuple(k.split()) if isinstance(k, str) else tuple(k): v for k, v in (commands or {}).items()}
        self.files = {k: v for k, v in (files or {}).items() if v is not None}
        self.stats = dict(stats or {})
        self.links = dict(links or {})
        self.directories = set(directories)
        for path in list(self.files) + list(self.links) + list(self.directories) + list(self.stats):
            while os.path.dirname(path) != path:
                path = os.path.dirname(path)
                self.directories.add(path)
        self.calls = []
        self.listeners = dict(listeners or {})

    def which(self, program):
        return "/usr/bin/" + program if any(os.path.basename(key[0]) == os.path.basename(program) for key in self.commands) else None

    def run(self, argv, timeout=120, stdin=b"", env=None, check=True, **more):
        self.remaining()
        argv = tuple(os.fsdecode(a) if isinstance(a, bytes) else str(a) for a in argv)
        self.calls.append(argv)
        keys = [key for key in self.commands if argv[: len(key)] == key]
        if not keys:
            if self.which(argv[0]):
                raise AssertionError("the fake host has no answer for %s" % (argv,))
            raise IntactError("%s is not installed on this host" % argv[0], program=argv[0])
        result = self._result(argv, self.commands[max(keys, key=len)], stdin)
        if check and result.rc != 0:
            raise IntactError("%s ended with status %d: %s" % (argv[0], result.rc, result.error), program=argv[0], rc=result.rc)
        return result

    def _result(self, argv, answer, stdin):
        if callable(answer) and not isinstance(answer, type):
            answer = answer(argv, stdin)
        if isinstance(answer, BaseException):
            raise answer
        if isinstance(answer, Result):
            return answer
        rc, out, err = (answer + ("",))[:3] if isinstance(answer, tuple) else (0, answer, "")
        return Result(argv, rc, _bytes(out), _bytes(err))

    def read(self, path, limit=None):
        path = self._follow(path)
        if path not in self.files:
            if path in self.directories:
                raise IsADirectoryError(21, "Is a directory", path)
            return None
        value = self.files[path]
        if isinstance(value, BaseException):
            raise value
        # as read_if_exists(): devices are for blocks()
        return None if self.stats.get(path, {}).get("type") == "b" else _bytes(value)[:limit]

    def blocks(self, path, offset, size):
        value = self.files.get(self._follow(path))
        if value is None:
            raise FileNotFoundError(2, "No such file or directory", path)
        if isinstance(value, BaseException):
            raise value
        return _bytes(value)[offset : offset + size]

    def secret(self, path, create=True):
        if path not in self.files and create:
            self.files[path] = b"k" * 32
        return self.files.get(path)

    def _follow(self, path):
        for _hop in range(40):
            if path not in self.links:
                return path
            path = os.path.normpath(os.path.join(os.path.dirname(path), self.links[path]))
        raise OSError(40, "Too many levels of symbolic links", path)

    def exists(self, path):
        return path in self.files or path in self.links or path.rstrip("/") in self.directories or path == "/" or path in self.stats

    def _names(self):
        return set(self.files) | set(self.links) | set(self.directories) | set(self.stats)

    def glob(self, pattern):
        depth = pattern.count("/")
        return sorted(p for p in self._names() if p.count("/") == depth and _matches(p, pattern))

    def listdir(self, path):
        path = path.rstrip("/")
        return sorted({p[len(path) + 1 :] for p in self._names() if os.path.dirname(p) == (path or "/") and p != "/"})

    def readlink(self, path):
        return self.links.get(path)

    def realpath(self, path):
        """Links of any directory on the way are followed too, as os.path.realpath() does."""
        out = "/"
        for part in path.strip("/").split("/"):
            out = self._follow(os.path.join(out, part))
        return out

    def dial(self, address, port, timeout=10):
        answer = self.listeners.get((address, int(port)))
        if answer is None:
            raise ConnectionRefusedError(111, "Connection refused")
        return answer()

    def lstat(self, path):
        if not self.exists(path):
            return None
        given = self.stats.get(path, {})
        kind = given.get("type") or ("l" if path in self.links else "d" if path in self.directories else "f")
        mode = {"l": statmod.S_IFLNK, "d": statmod.S_IFDIR, "f": statmod.S_IFREG, "b": statmod.S_IFBLK, "s": statmod.S_IFSOCK, "p": statmod.S_IFIFO}[kind]
        value = self.files.get(path, b"")
        size = 4096 if kind == "d" else 0 if isinstance(value, BaseException) else len(_bytes(value))
        mode |= given.get("mode", 0o755 if kind == "d" else 0o777 if kind == "l" else 0o644)
        moment = given.get("mtime", 0)
        return os.stat_result(
            (
                mode,
                given.get("ino", 1),
                given.get("dev", 1),
                given.get("nlink", 1),
                given.get("uid", 0),
                given.get("gid", 0),
                given.get("size", size),
                moment,
                moment,
                moment,
            )
        )


def _matches(path, pattern):
    """Glob as the file system does it: * does not cross a slash, nor match a leading dot."""
    parts, wanted = path.split("/"), pattern.split("/")
    return all(fnmatch.fnmatchcase(p, w) and not (p.startswith(".") and not w.startswith(".")) for p, w in zip(parts, wanted))


def _bytes(value):
    return value.encode("utf-8", "surrogateescape") if isinstance(value, str) else value
