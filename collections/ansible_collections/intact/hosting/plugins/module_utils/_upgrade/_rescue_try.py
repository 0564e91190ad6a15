# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Try the second sshd before it is relied on: a whole login through a pipe, by a key made for it, and an answer on its port."""

from __future__ import annotations

import os
import shlex
import shutil
import socket
import time

from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _private_copy, _rescue_config

LISTEN = "0A"
PATIENCE = 20
NEXT = "correct it, or set distro_upgrade_rescue_ssh_port to 0 to go without a second way in"


def login(host, place, options, user):
    """Log in as root through a pipe, with a key that is made for it and goes at once; returns a sentence. StageFailure when it does not work.

    What the session's process runs is looked at from within: it must be the copy's, or it would fall with the system's libraries.
    """
    if not which("ssh") or not which("ssh-keygen"):
        return "no login tried (no ssh client here)"
    trial = os.path.join(place, "trial")
    shutil.rmtree(trial, ignore_errors=True)
    os.mkdir(trial, 0o700)
    try:
        host.run(["ssh-keygen", "-q", "-t", "ed25519" if _takes(options, "ssh-ed25519") else "ecdsa", "-N", "", "-C", "trial", "-f", trial + "/key"])
        config = "PermitRootLogin prohibit-password\nAuthorizedKeysFile %s/key.pub\n" % trial
        config += _rescue_config.FIXED + _rescue_config.kept(options, user) + _rescue_config.programs(options, place)
        write_atomic(trial + "/config", config.encode())
        known = b"".join(b"trial " + (read_if_exists(path + ".pub") or b"") + b"\n" for path in options.get("hostkey", []) if read_if_exists(path + ".pub"))
        write_atomic(trial + "/known", known)
        variables = ["%s=%s" % item for item in sorted(_private_copy.environment(place).items())]
        proxy = ["env"] + variables + [place + "/sshd", "-i", "-e", "-f", trial + "/config"]
        words = {
            "ProxyCommand": " ".join(shlex.quote(word) for word in proxy),
            "UserKnownHostsFile": trial + "/known",
            "GlobalKnownHostsFile": "/dev/null",
            "StrictHostKeyChecking": "yes" if known else "no",
            "IdentitiesOnly": "yes",
            "BatchMode": "yes",
            "PreferredAuthentications": "publickey",
            "ControlPath": "none",
        }
        argv = ["ssh", "-F", "/dev/null", "-i", trial + "/key"] + [part for key in words for part in ("-o", "%s=%s" % (key, words[key]))]
        said = host.run(argv + ["root@trial", "cat /proc/$PPID/maps"], check=False, timeout=90)
        if said.rc != 0 or "/" not in said.text:
            lines = [line for line in said.error.splitlines() if line.strip() and "known hosts" not in line]
            raise _host.StageFailure("a login through the second sshd, tried before it is relied on, failed: %s" % " | ".join(lines[-3:]), NEXT)
        others = _private_copy.foreign(said.text, place)
        if others:
            raise _host.StageFailure("the second sshd still uses %s, which the upgrade replaces" % ", ".join(others[:3]), NEXT)
    finally:
        shutil.rmtree(trial, ignore_errors=True)
    return "a login with a key worked"


def _takes(options, algorithm):
    said = (options.get("pubkeyacceptedalgorithms") or options.get("pubkeyacceptedkeytypes") or [algorithm])[0]
    return algorithm in said.split(",")


def listens(port):
    """Whether some process listens on a TCP port, by the kernel's own list."""
    for path in ("/proc/net/tcp", "/proc/net/tcp6"):
        for line in (read_if_exists(path) or b"").decode("ascii", "replace").splitlines()[1:]:
            fields = line.split()
            if fields[3] == LISTEN and int(fields[1].rsplit(":", 1)[1], 16) == port:
                return True
    return False


def answers(port, patience=PATIENCE):
    """A sentence on how the sshd answers on its port, "" when it does not listen."""
    deadline = time.monotonic() + patience
    while not listens(port):
        if time.monotonic() > deadline:
            return ""
        time.sleep(0.2)
    for address in ("127.0.0.1", "::1"):
        try:
            with socket.create_connection((address, port), 5) as line:
                line.settimeout(15)
                if line.recv(64).startswith(b"SSH-2.0-"):
                    return "it answers"
        except OSError:
            continue
    # A firewall that shuts this host out of itself says nothing about the controller.
    return "it listens"
