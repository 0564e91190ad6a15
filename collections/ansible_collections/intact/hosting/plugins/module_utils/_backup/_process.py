# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A long-running program with secrets: started so that nothing secret is in its arguments or on a disk, watched while it retries, and ended with us."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
import time

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# Retries that are further apart than this are separate troubles.
CALM = 90.0
# How long a program that was asked to end may tidy up behind itself (restic takes its lock away).
GRACE = 10.0
KEPT = 20000
RETRY = re.compile(rb"returned error, retrying|operation failed", re.I)
# A full disk is no emptier after ten tries; over SFTP a server has no word for it but "failure". So long a retry may go on all the same.
HOPELESS = re.compile(rb"Save\(.*(no space left on device|quota exceeded|SSH_FX_FAILURE)", re.I)
SOON = 10.0


class Memory:
    """Bytes that a child may read as a file and that are nowhere else: name is a path that only it can open."""

    def __init__(self, data):
        self.fd = os.memfd_create("intact", os.MFD_CLOEXEC)
        view = memoryview(data)
        while view:
            view = view[os.write(self.fd, view) :]
        os.lseek(self.fd, 0, os.SEEK_SET)

    @property
    def name(self):
        """The path for the child."""
        return "/proc/self/fd/%d" % self.fd

    def close(self):
        """Forget the bytes, once the child was started."""
        os.close(self.fd)


def program(argv, nice=0):
    """The arguments with which the program is killed when we are: a restic whose dump ends because we died would take the torn dump for a whole one.

    The one who waits must be the thread that started it: the kernel looks at threads.
    """
    before = [setpriv, "--pdeathsig", "KILL", "--"] if (setpriv := _command.which("setpriv")) else []
    return before + (["nice", "-n", str(int(nice))] if nice else []) + list(argv)


class Call:
    """One running program. line: called with each line of its output; without it the output is `process.stdout`, for the caller to read.

    patience: seconds for which it may go on retrying without a calm. After that it is ended, and stopped says why.
    gentle: whether it is asked to end before it is killed.
    """

    def __init__(
        self,
        argv,
        environment,
        memories=(),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        line=None,
        patience=180.0,
        nice=0,
        clock=time.monotonic,
        gentle=True,
    ):
        self.gentle = gentle
        self.stopped, self.began, self._clock, self._patience = "", clock(), clock, patience
        self._first = self._last = None
        self._errors, self._tail, self._lock = [], [], threading.Lock()
        try:
            self.process = subprocess.Popen(  # pylint: disable=consider-using-with
                [os.fsencode(a) for a in program(argv, nice)],
                stdin=stdin,
                stdout=stdout,
                stderr=subprocess.PIPE,
                env=environment,
                pass_fds=[memory.fd for memory in memories],
                start_new_session=True,
            )
        except FileNotFoundError as exc:
            raise IntactError("%s is not installed on this host" % argv[0], program=str(argv[0])) from exc
        finally:
            for memory in memories:
                memory.close()
        self._threads = [threading.Thread(target=self._listen, daemon=True)]
        if line:
            self._threads.append(threading.Thread(target=self._read, args=(line,), daemon=True))
        for thread in self._threads:
            thread.start()

    def _read(self, line):
        for text in self.process.stdout:
            line(text)

    def _listen(self):
        for text in self.process.stderr:
            with self._lock:
                # What came first names the cause, what came last the end.
                if len(self._errors) < KEPT:
                    self._errors.append(text)
                else:
                    self._tail = self._tail[-200:] + [text]
            if RETRY.search(text):
                self._retried(min(self._patience, SOON) if HOPELESS.search(text) else self._patience)

    def _retried(self, patience):
        now = self._clock()
        if self._last is None or now - self._last > CALM:
            self._first = now
        self._last = now
        if now - self._first > patience and not self.stopped:
            threading.Thread(target=self.stop, args=("gave-up",), daemon=True).start()

    @property
    def said(self):
        """Everything that it said on standard error, as bytes."""
        with self._lock:
            return b"".join(self._errors + self._tail)

    def stop(self, why):
        """End it: asked first, killed when it does not; its input stays open until it is gone, so that it can't take that for an end."""
        if self.process.poll() is not None:
            return
        self.stopped = self.stopped or why
        for number, grace in ((signal.SIGINT, GRACE), (signal.SIGKILL, 60.0))[0 if self.gentle else 1 :]:
            try:
                self.process.send_signal(number)
                self.process.wait(grace)
                return
            except subprocess.TimeoutExpired:
                continue

    def wait(self):
        """Its exit status, when everything that it said was read."""
        try:
            rc = self.process.wait()
        except BaseException:
            self.stop("aborted")
            raise
        for thread in self._threads:
            # A grandchild (ssh) may hold the pipe a moment longer.
            thread.join(10)
        return rc

    @property
    def seconds(self):
        """Since it was started."""
        return round(self._clock() - self.began, 3)
