# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A database client whose session is held open: the baseline asks its questions through it, and all answers are of one transaction."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import threading
import time

from ansible_collections.intact.hosting.plugins.module_utils._backup._dump import start
from ansible_collections.intact.hosting.plugins.module_utils._command import Result
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

# The baseline's questions open and close a transaction of their own: here one is open already, and ending it would lose its moment.
FRAME = re.compile(rb"^(START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY|BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY|COMMIT);$")
# Every table is digested, whatever its size: a dump is proved whole or not at all.
UNLIMITED = 2**60


class Session:
    """A client process that reads statements from a pipe. mark: a statement (with {}) whose answer is one line with that text."""

    def __init__(self, argv, mark, env=None):
        self._mark, self._count = mark, 0
        self._lock = threading.Lock()
        self._argv = tuple(argv)
        self._process = start(argv, env, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, bufsize=0)
        for pipe in (self._process.stdin, self._process.stdout, self._process.stderr):
            os.set_blocking(pipe.fileno(), False)

    def ask(self, script, timeout=3600):
        """A Result with what the statements (bytes) gave: rc 0, or the client's status when it ended. Raises when there is no answer in time."""
        with self._lock:
            self._count += 1
            word = "intact-%d-%d" % (self._process.pid, self._count)
            out, err, ended = self._exchange(script.rstrip(b"\n") + b"\n" + self._mark.format(word).encode() + b"\n", word.encode(), timeout)
        return Result(self._argv, (self._process.wait() or 1) if ended else 0, out, err)

    def _exchange(self, script, word, timeout):
        left, out, err = memoryview(script), bytearray(), bytearray()
        process, deadline, ended = self._process, time.monotonic() + timeout, False
        ending = b"\n" + word + b"\n"
        with selectors.DefaultSelector() as selector:
            selector.register(process.stdin, selectors.EVENT_WRITE)
            selector.register(process.stdout, selectors.EVENT_READ)
            selector.register(process.stderr, selectors.EVENT_READ)
            while not (ended or out.endswith(ending) or out == word + b"\n"):
                ready = selector.select(max(0, deadline - time.monotonic()))
                if not ready:
                    self.close()
                    raise IntactError("%s gave no answer within %d s" % (self._argv[0], timeout))
                for key, _events in ready:
                    if key.fileobj is process.stdin:
                        try:
                            left = left[os.write(process.stdin.fileno(), left[:65536]) :]
                        except BrokenPipeError:
                            left = left[:0]
                        if not left:
                            selector.unregister(process.stdin)
                    else:
                        into = out if key.fileobj is process.stdout else err
                        ended = not _pour(key.fileobj, into) and key.fileobj is process.stdout
                        if not ended and key.fileobj is process.stderr and process.poll() is not None:
                            selector.unregister(process.stderr)
            # what it complained about was written before the mark: it is in the pipe
            _pour(process.stderr, err)
        return bytes(out if ended else out[: -len(word) - 1]), bytes(err), ended

    def close(self):
        """End the client, and with it its transaction and its locks."""
        process = self._process
        if process.poll() is None:
            process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout, process.stderr):
            pipe.close()


def _pour(pipe, into):
    """Append to into what a pipe holds now; False at its end."""
    while True:
        try:
            data = os.read(pipe.fileno(), 65536)
        except BlockingIOError:
            return True
        if not data:
            return False
        into += data


class Held(System):
    """The host as the baseline's database probe sees it, whose one running client is a held session. clients: names of programs that it stands for."""

    def __init__(self, system, session, clients, before=b""):
        super().__init__(dict({"table_bytes": UNLIMITED}, **system.options))
        self._under, self._session, self._clients, self._before = system, session, clients, before

    def read(self, path, limit=None):
        """As the system below reads it (the host's key for passwords)."""
        return self._under.read(path, limit)

    def which(self, program):
        """As the system below finds it."""
        return self._under.which(program)

    def run(self, argv, timeout=120, stdin=b"", env=None, check=True):
        """The statements given on stdin are sent into the held session, without their own transaction."""
        if argv[0] not in self._clients and not (argv[0] == "runuser" and set(argv) & set(self._clients)):
            raise IntactError("%s is not what the held session is for" % argv[0])
        lines = [line for line in stdin.split(b"\n") if not FRAME.match(line)]
        return self._session.ask(self._before + b"\n".join(lines), timeout)
