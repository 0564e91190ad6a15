# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Processes of a host: which one is a database server, who listens at a socket, which service a process belongs to."""

from __future__ import annotations

import os
import shutil
import socket
import struct

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_if_exists, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# With what a server is started of which nobody but us may ask something.
PRIVATE = ("--skip-log-error", "--skip-grant-tables", "--skip-networking", "--skip-slave-start", "--event-scheduler=OFF")


def running(record):
    """The process that is this server now: the same program in the same data directory, into which servers change. 0 when there is none.

    By inode: a container on this host may have another one by the same names. In a container that may not look into processes of other accounts
    (without CAP_SYS_PTRACE) it is told by its account and its arguments.
    """
    try:
        place = os.stat(record["datadir"])
    except OSError:
        return 0
    for name in os.listdir("/proc"):
        if not name.isdigit():
            continue
        try:
            try:
                ours = os.path.samestat(os.stat("/proc/%s/cwd" % name), place)
                # a program that was upgraded under the process is told as deleted
                ours = ours and os.readlink("/proc/%s/exe" % name).replace(" (deleted)", "") == record["program"]
            except PermissionError:
                ours = os.stat("/proc/" + name).st_uid == record.get("uid") and _alike(arguments(name), record.get("argv") or [])
            if not ours:
                continue
            with open("/proc/%s/stat" % name, "rb") as handle:
                state = handle.read().rpartition(b")")[2].split()[0]
        except OSError:
            continue
        if state != b"Z":
            return int(name)
    return 0


def _alike(argv, known):
    """Whether these are the arguments of a server that was started like this one, by its unit or by us; another instance of the same program has others."""
    return bool(argv and known) and argv[1 : len(known)] == known[1:] and (argv[0] == known[0] if len(argv) == len(known) else PRIVATE[0] in argv[len(known) :])


def arguments(pid):
    """The arguments of a process, as escaped text; [] when it is gone."""
    text = (read_if_exists("/proc/%s/cmdline" % pid) or b"").rstrip(b"\0")
    return [escape(word) for word in text.split(b"\0")] if text else []


def program(pid):
    """The path of the program that a process runs."""
    try:
        return os.readlink("/proc/%d/exe" % pid)
    except PermissionError:
        # a container that may not look into processes of other accounts
        word = os.fsdecode(unescape((arguments(pid) or [""])[0]))
        found = shutil.which(word) if word else None
        if not found:
            raise IntactError("which program process %d runs can't be told: let this container look into its processes (CAP_SYS_PTRACE)" % pid) from None
        return os.path.realpath(found)


def listener(path):
    """Who listens at a socket, told by the kernel."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(30)
        try:
            connection.connect(path)
        except OSError as exc:
            raise IntactError("the database server's socket %s can't be reached: %s" % (path, exc.strerror)) from exc
        return struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))[0]


def unit(pid):
    """The systemd service that a process belongs to, or ""."""
    for line in (read_if_exists("/proc/%d/cgroup" % pid) or b"").decode("utf-8", "replace").splitlines():
        name = line.rpartition("/")[2]
        if name.endswith(".service"):
            return name
    return ""
