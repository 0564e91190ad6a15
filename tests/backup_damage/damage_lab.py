# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the drills share: repositories in a scratch directory, the ways to break them, and a REST server."""

from __future__ import annotations

import datetime
import glob
import os
import socket
import subprocess
import sys
import tempfile
import time

sys.path.insert(0, os.path.join(os.path.dirname(os.path.abspath(__file__)), "..", "..", "collections"))
from ansible_collections.intact.hosting.plugins.module_utils._backup import _restic

ROOT = tempfile.mkdtemp(prefix="intact-damage-")
DRILLS = []
UTC = datetime.timezone.utc  # noqa: UP017 (Debian 11 runs it too)


def drill(function):
    """A drill, to be run in its order."""
    DRILLS.append(function)
    return function


def at(*parts):
    """A path in the scratch root."""
    return os.path.join(ROOT, *parts)


def source():
    """A small tree with nasty names; two files of some size."""
    top = os.fsencode(at("src"))
    if not os.path.isdir(top):
        os.makedirs(top + b"/sub")
        for name in (b"new\nline", b"latin1-\xe4\xf6", b"\xe4" * 255, "\ufffd".encode(), b"sub/\xff\n\xfe", b" lead trail ", b"star*[a]?\\"):
            with open(top + b"/" + name, "wb") as handle:
                handle.write(name)
        for name in (b"big", b"sub/big2"):
            with open(top + b"/" + name, "wb") as handle:
                handle.write(os.urandom(3000000))
    return top


def restic(url, name="vault", patience=6, password="geheim", **more):
    """A Restic with its own password file."""
    path = at("password-%d" % sum(password.encode()))
    if not os.path.exists(path):
        with open(os.open(path, os.O_CREAT | os.O_WRONLY, 0o600), "w", encoding="ascii") as handle:
            handle.write(password)
    limits = more.pop("limits", {})
    return _restic.Restic(dict({"name": name, "url": url, "password_file": path}, **more), limits=limits, cache=at("cache"), patience=patience)


def good(outcome):
    """The outcome, which must be a full success."""
    assert outcome.ok, outcome
    return outcome


def filled(name):
    """(Restic, snapshot) of a new local repository with two backups."""
    one = restic(at(name))
    good(one.init())
    first = good(one.backup([source()], ["intact", "class:files"]))
    with open(source() + b"/later", "w", encoding="ascii") as handle:
        handle.write(name)
    good(one.backup([source()], ["intact", "class:files"]))
    return one, first.snapshot


def flip(path):
    """Flip one bit in the middle of a file."""
    os.chmod(path, 0o600)
    with open(path, "r+b") as handle:
        handle.seek(os.path.getsize(path) // 2)
        byte = handle.read(1)
        handle.seek(-1, os.SEEK_CUR)
        handle.write(bytes([byte[0] ^ 4]))


def largest(pattern):
    """The largest file that matches."""
    return max(glob.glob(at(pattern), recursive=True), key=os.path.getsize)


def expect(findings, wanted, name):
    """All findings have this id, and one names the object."""
    told = [(finding.id, finding.subject) for finding in findings]
    assert findings and {finding.id for finding in findings} == {wanted}, "wanted %s, found %s" % (wanted, told)
    assert any(name in finding.subject for finding in findings), "%r is not named: %s" % (name, told)
    return "; ".join("%s [%s] %s" % (finding.id, finding.subject, finding.evidence[:140]) for finding in findings)


class Server:
    """rclone's REST server on localhost, as it runs on the vault."""

    def __init__(self, directory, user=("web1", "geheim2"), more=()):
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.address = "http://127.0.0.1:%d/" % self.port
        self.argv = ["rclone", "serve", "restic", "--append-only", "--addr", "127.0.0.1:%d" % self.port, "--user", user[0], "--pass", user[1], *more, directory]
        self.environment = at("environment-%d" % self.port)
        with open(os.open(self.environment, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600), "w", encoding="ascii") as handle:
            handle.write("RESTIC_REST_USERNAME=%s\nRESTIC_REST_PASSWORD=%s\n" % user)
        self.start()

    def start(self):
        """Start it and wait until it answers."""
        self.process = subprocess.Popen(self.argv, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        for _try in range(100):
            assert self.process.poll() is None, "rclone ended with status %d" % self.process.returncode
            try:
                socket.create_connection(("127.0.0.1", self.port), 1).close()
                return
            except OSError:
                time.sleep(0.1)
        raise AssertionError("rclone does not answer")

    def stop(self):
        """Kill it as a power cut would."""
        self.process.kill()
        self.process.wait()

    def restic(self, **more):
        """A client."""
        return restic("rest:" + self.address, environment_file=self.environment, **more)
