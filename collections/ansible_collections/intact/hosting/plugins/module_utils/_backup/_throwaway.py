# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A private database server for a drill: own directory, own socket, no network, no rights, and gone when the drill ends."""

from __future__ import annotations

import contextlib
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time

from ansible_collections.intact.hosting.plugins.module_utils._backup._dump import TAIL, start
from ansible_collections.intact.hosting.plugins.module_utils._baseline import databases
from ansible_collections.intact.hosting.plugins.module_utils._command import Result, run, which
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

# the longest path of a socket is 107 bytes
SOCKET_DIRECTORY = 80


class Unloadable(IntactError):
    """A dump that the server did not take, in the server's words."""


def compare(before, after):
    """Findings of the baseline's own comparison: items of a manifest, and of what was loaded from its dumps.

    A view that was broken on its host when it was dumped is as broken here: known, and no fault of the dump.
    """
    known = {s for s, item in before.items() if item.get("error") and item["kind"] == "view" and ("error" in after.get(s, {}) or s not in after)}
    out = databases.compare({"items": _without(before, known)}, {"items": _without(after, known)})
    for subject in sorted(known):
        out.append(
            Finding(
                id="databases.view.before",
                severity="warning",
                subject=subject,
                title="the view was broken when it was dumped, and is so restored",
                evidence=before[subject]["error"],
                remedy="repair or drop it on its host",
                check="QF20",
                details={"change": "still", "attribute": "error", "before": before[subject]["error"], "after": after.get(subject, {}).get("error")},
            )
        )
    return out


def _without(items, subjects):
    return {subject: item for subject, item in items.items() if subject not in subjects}


class Server:
    """What the engines' servers share. directory: is made, must not be there; user: who the server runs as, when we are root."""

    users = ("nobody",)

    def __init__(self, directory, user=None, machine_id=""):
        self.directory = os.path.abspath(directory)
        self.machine_id = machine_id
        self._process = None
        self._user = pwd.getpwnam(user or self._known()) if os.getuid() == 0 else pwd.getpwuid(os.getuid())
        if os.path.lexists(self.directory):
            raise IntactError("%s is there already: a throw-away server wants a directory of its own" % self.directory)
        os.mkdir(self.directory, 0o700)
        # beside the scratch root when its own path is too long for a socket
        self.sockets = self.directory if len(os.fsencode(self.directory)) < SOCKET_DIRECTORY else tempfile.mkdtemp(prefix="intact-drill-")
        try:
            self._own(self.directory, self.sockets)
            if run(self.unprivileged(["test", "-x", self.directory]), check=False).rc:
                raise IntactError(
                    "%s, as whom the server runs, can't reach %s: let everybody pass the directories above it (0711)" % (self._user.pw_name, directory)
                )
            self._start()
            self.prove()
        except BaseException:
            self.close()
            raise

    def _known(self):
        names = {entry.pw_name for entry in pwd.getpwall()}
        return next((user for user in self.users if user in names), "nobody")

    def _own(self, *paths):
        for path in paths:
            os.chown(path, self._user.pw_uid, self._user.pw_gid)

    def _file(self, name, text):
        """A file in the server's directory that only the server may read."""
        path = os.path.join(self.directory, name)
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(fd, "w") as handle:
            handle.write(text)
        self._own(path)
        return path

    def _directory(self, name):
        path = os.path.join(self.directory, name)
        os.makedirs(path, 0o700, exist_ok=True)
        self._own(path)
        return path

    def unprivileged(self, argv, server=False):
        """argv as the server's user, without any way to more rights; a server also without a network and not longer than this process."""
        if not which("setpriv"):
            return argv
        words = ["setpriv", "--no-new-privs"] + (["--pdeathsig", "KILL"] if server else [])
        if os.getuid() == 0:
            words += ["--reuid", str(self._user.pw_uid), "--regid", str(self._user.pw_gid), "--clear-groups", "--inh-caps=-all", "--bounding-set=-all"]
            if server and _namespaces():
                words = ["unshare", "--net", "--"] + words
        return words + ["--"] + argv

    def _spawn(self, argv, ready, seconds=120, bare=False, **more):
        """Start the server; ready() tells when it answers. It is a child of this thread and ends with it.

        bare: it is confined by what is in `more` (see _cold._private_root), not by us.
        """
        log = os.path.join(self.directory, "server.log")
        with open(log, "ab") as handle:
            own = {"HOME": self.directory, "TMPDIR": self.directory}
            words = argv if bare else self.unprivileged(argv, server=True)
            self._process = start(words, own, stdin=subprocess.DEVNULL, stdout=handle, stderr=handle, cwd=self.directory, **more)
        deadline = time.monotonic() + seconds
        while self._process.poll() is None and time.monotonic() < deadline:
            if ready():
                return
            time.sleep(0.1)
        with open(log, "rb") as handle:
            words = handle.read().decode("utf-8", "backslashreplace").strip().splitlines()[-6:]
        hint = ""
        if "ermission denied" in " ".join(words) and os.path.isdir("/sys/kernel/security/apparmor"):
            hint = " (an AppArmor profile may forbid it %s: see aa-status)" % self.directory
        raise IntactError("%s did not start%s: %s" % (os.path.basename(argv[0]), hint, " | ".join(words)))

    def _prepare(self, argv, timeout=600):
        """Run a program that makes the data directory."""
        result = run(self.unprivileged(argv), timeout=timeout, check=False, env={"HOME": self.directory, "TMPDIR": self.directory})
        if result.rc:
            raise IntactError("%s failed: %s" % (os.path.basename(argv[0]), result.error[-500:] or result.text[-500:]))

    def _client(self, argv, stream=None, stdin=b"", timeout=86400):
        """Run a client of this server; a Result and the last bytes that it was given. stream: a binary file or pipe that is read to its end."""
        errors = tempfile.TemporaryFile()  # noqa: SIM115
        answers = tempfile.TemporaryFile()  # noqa: SIM115
        own = {"HOME": self.directory}
        process = start(self.unprivileged(argv), own, stdin=subprocess.PIPE, stdout=answers, stderr=errors, cwd=self.directory)
        tail = b""
        with errors, answers:
            try:
                for chunk in iter(lambda: stream.read(1 << 20), b"") if stream is not None else [stdin]:
                    tail = (tail + chunk)[-TAIL:]
                    with contextlib.suppress(BrokenPipeError):
                        # a stream is read to its end although the client gave up: its producer must not be judged by that
                        process.stdin.write(chunk)
                with contextlib.suppress(BrokenPipeError):
                    process.stdin.close()
                process.wait(timeout)
            except subprocess.TimeoutExpired as exc:
                raise IntactError("%s gave no answer within %d s" % (argv[0], timeout)) from exc
            finally:
                if process.poll() is None:
                    process.kill()
                    process.wait()
            for handle in (errors, answers):
                handle.seek(0)
            return Result(tuple(argv), process.returncode, answers.read(), errors.read()), tail

    def _start(self):
        raise NotImplementedError

    def prove(self):
        """Raise unless the server that answers is this one, told by itself."""
        raise NotImplementedError

    def _stop_signal(self):
        return signal.SIGTERM

    def close(self):
        """End the server, whatever it does, and remove its directory."""
        self._end()
        for path in sorted({self.directory, self.sockets}):
            shutil.rmtree(path, ignore_errors=True)

    def _end(self, seconds=10):
        process = self._process
        if process and process.poll() is None:
            with contextlib.suppress(ProcessLookupError):
                process.send_signal(self._stop_signal())
            try:
                process.wait(seconds)
            except subprocess.TimeoutExpired:
                with contextlib.suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        self.close()


def _namespaces():
    """Whether this process may make a network namespace."""
    return bool(which("unshare")) and run(["unshare", "--net", "--", "true"], check=False).rc == 0


class Confined(System):
    """The host as the baseline's database probe sees it in a drill: every question goes to the throw-away server, and nothing else runs."""

    def __init__(self, answer, programs, machine_id=""):
        super().__init__({"table_bytes": 2**60})
        self._answer, self._programs, self._machine_id = answer, set(programs), machine_id

    def which(self, program):
        """Only the throw-away server's programs are there."""
        return "/drill/" + program if program in self._programs else None

    def read(self, path, limit=None):
        """The key by which the drilled host's passwords were digested; no other file."""
        return self._machine_id.encode() if path == "/etc/machine-id" and self._machine_id else None

    def run(self, argv, timeout=120, stdin=b"", env=None, check=True):
        """Ask the throw-away server; refuse everything else."""
        if argv[0] not in self._programs and not (argv[0] == "runuser" and "psql" in self._programs & set(argv)):
            raise IntactError("%s has no business in a drill" % argv[0])
        return self._answer(list(argv), stdin)
