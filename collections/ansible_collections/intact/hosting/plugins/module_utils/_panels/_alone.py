# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A panel's own program run for a proof: as its user, without more rights, in a network of its own, on data that are not the host's.

The program believes to be at home; whatever it would tell the world, a queue or a mail server, it tells nobody.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import pwd
import shutil
import socket
import struct
import subprocess
import sys
import tempfile
import time

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# The child imports as we do, and only then starts programs with fewer rights.
_BOOT = "import importlib, json, sys; w = json.loads(sys.argv[1]); sys.path[:] = w['import']; importlib.import_module(w['module']).child(w)"
REDIS_PORT = 6379


@contextlib.contextmanager
def place(directory, user):
    """A directory of this user's, below `directory` when the user can come there; else a private one that goes at the end."""
    account = pwd.getpwnam(user)
    away = None if _passes(directory, account) else tempfile.mkdtemp(prefix="intact-scratch-", dir="/var/tmp")
    if away:
        # the name can't be guessed, and nothing but the user's own directory is in it
        os.chmod(away, 0o711)
    path = os.path.join(away or directory, "panel")
    try:
        os.mkdir(path, 0o700)
        os.chown(path, account.pw_uid, account.pw_gid)
        yield path
    finally:
        shutil.rmtree(away or path, ignore_errors=True)


def known(users):
    """The first of these users that the host has."""
    names = {entry.pw_name for entry in pwd.getpwall()}
    return next((user for user in users if user in names), "nobody")


def _passes(directory, account):
    path = os.path.realpath(directory)
    groups = set(os.getgrouplist(account.pw_name, account.pw_gid))
    while True:
        status = os.stat(path)
        bits = 0o100 if status.st_uid == account.pw_uid else 0o010 if status.st_gid in groups else 0o001
        if account.pw_uid and not status.st_mode & bits:
            return False
        if path == "/":
            return True
        path = os.path.dirname(path)


def run(system, user, commands, cwd, env=None, redis=False, timeout=1800):
    """[{"rc", "out", "err"}] of commands that ran one after the other; those behind one that failed did not run.

    redis: an empty Redis on the loopback address, for programs that can't do without.
    """
    for program in ["unshare", "setpriv"] + (["redis-server"] if redis else []):
        if not system.which(program):
            raise IntactError("%s is not installed on this host: the panel's own program can't be tried apart from it" % program)
    words = {
        "import": [entry for entry in sys.path if entry],
        "module": __name__,
        "user": user,
        "commands": [[str(word) for word in command] for command in commands],
        "cwd": cwd,
        "env": env or {},
        "redis": redis,
    }
    argv = ["unshare", "--net", "--", sys.executable or "python3", "-B", "-c", _BOOT, json.dumps(words)]
    result = system.run(argv, timeout=timeout, check=False)
    try:
        return json.loads(result.text)
    except ValueError:
        words = (result.error.splitlines() or ["no word"])[-1]
        raise IntactError("the panel's program can't be run apart from the host: %s" % words) from None


# What follows runs in the child.


def child(words):
    """Bring the loopback up, start what is wanted, run the commands, tell."""
    _loopback()
    account = pwd.getpwnam(words["user"])
    own = {"HOME": words["cwd"], "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "LANG": "C.UTF-8"}
    own.update(words["env"])
    less = ["setpriv", "--no-new-privs", "--pdeathsig", "KILL", "--reuid", str(account.pw_uid), "--regid", str(account.pw_gid), "--init-groups"]
    less += ["--inh-caps=-all", "--bounding-set=-all", "--"]
    process, out = _redis(less) if words["redis"] else None, []
    try:
        for command in words["commands"]:
            done = subprocess.run(less + command, cwd=words["cwd"], env=own, stdin=subprocess.DEVNULL, capture_output=True, check=False)
            told = [stream.decode("utf-8", "backslashreplace") for stream in (done.stdout, done.stderr)]
            out.append({"rc": done.returncode, "out": told[0], "err": told[1][-4000:]})
            if done.returncode:
                break
    finally:
        if process:
            process.kill()
            process.wait()
    sys.stdout.write(json.dumps(out))


def _loopback():
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as handle:
        request = struct.pack("16sh22x", b"lo", 0)
        flags = struct.unpack("16sh22x", fcntl.ioctl(handle, 0x8913, request))[1]
        fcntl.ioctl(handle, 0x8914, struct.pack("16sh22x", b"lo", flags | 1))


def _redis(less):
    argv = less + ["redis-server", "--port", str(REDIS_PORT), "--bind", "127.0.0.1", "--save", "", "--appendonly", "no"]
    process = subprocess.Popen(argv, cwd="/", stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    for _attempt in range(100):
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", REDIS_PORT), timeout=1):
            return process
        if process.poll() is not None:
            break
        time.sleep(0.1)
    raise SystemExit("a Redis of its own did not start")
