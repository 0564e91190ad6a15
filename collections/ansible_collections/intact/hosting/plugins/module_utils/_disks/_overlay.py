# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A writable view of a read-only disk: every write goes into a file of bounded size. One interface, several drivers; view is STATE/view for all of them."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from ansible_collections.intact.hosting.plugins.module_utils._command import run, which
from ansible_collections.intact.hosting.plugins.module_utils._disks import _block, _hold, _mounts
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight.space import size as told

SMALLEST = 1 << 20
SPARE = 64 << 20  # what stays free beside the overlay on its filesystem


class Overlay:
    """What all drivers share. start() makes STATE/view, stop() takes away whatever is left of it, both may be called again.

    name: as in state.json. writable: whether a journal can be replayed in it.
    """

    name, writable = "", True

    def __init__(self, state):
        self.state = state

    def lacks(self):
        """Why this host can't use the driver, "" when it can."""
        raise NotImplementedError

    def start(self, device, limit):
        """Make the view of a device. limit: bytes that the overlay may grow to."""
        raise NotImplementedError

    def full(self):
        """Whether the overlay has no room left, so that what is seen through it may lack writes."""
        return False

    def stop(self):
        """Take it away: idempotent, and from what is there, not from what is remembered."""
        if os.path.lexists(self.state.view):
            unmount_below(self.state.view)
        end(self.state)
        unmount_below(self.state.directory)

    def file(self, name):
        """A path in the attachment's directory."""
        return os.path.join(self.state.directory, name)


def touch(path):
    """An empty private file to mount upon."""
    os.close(os.open(path, os.O_CREAT | os.O_WRONLY | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600))


def unmount_below(path):
    """Unmount everything at or below a path, the last mounted first."""
    for _again in range(8):
        targets = [_mounts.path_of(entry) for entry in _mounts.table() if _mounts.below(_mounts.path_of(entry), path)]
        if not targets:
            return
        for target in reversed(targets):
            _mounts.unmount(target)


def end(state, patience=15.0):
    """End the programs that serve the view: asked first, then killed."""
    for number in (signal.SIGTERM, signal.SIGKILL):
        until = time.monotonic() + patience
        for pid in _hold.processes(state.directory):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
        while time.monotonic() < until:
            if not _hold.processes(state.directory):
                return
            time.sleep(0.05)
    left = _hold.processes(state.directory)
    if left:
        said = ", ".join("%s (%d)" % (name, pid) for pid, name in left.items())
        raise IntactError("%s could not be ended, perhaps the disk hangs: unplug it, then run state absent again" % said, processes=sorted(left))


def room(state, limit):
    """An IntactError unless the overlay fits beside what is there."""
    place = os.statvfs(state.directory if state.exists() else state.base if os.path.isdir(state.base) else os.path.dirname(state.base))
    free = place.f_bavail * place.f_frsize
    if limit < SMALLEST:
        raise IntactError("overlay_size is %s: a replayed journal needs at least %s, better 1 GiB" % (told(limit), told(SMALLEST)), overlay_size=limit)
    if free < limit + SPARE:
        raise IntactError(
            "%s has %s free, an overlay of up to %s needs %s: give another overlay_dir or a smaller overlay_size"
            % (state.base, told(free), told(limit), told(limit + SPARE)),
            overlay_dir=state.base,
            free=free,
        )


class Direct(Overlay):
    """Mode raw: no overlay at all, the device itself under the name view, so that its loops are told from others."""

    name, writable = "direct", False

    def lacks(self):
        return ""

    def start(self, device, limit):
        touch(self.state.view)
        run(["mount", "--bind", os.path.realpath(device), self.state.view])


class Nbdkit(Overlay):
    """nbdkit's cow filter through nbdfuse. Its file is as long as the disk and sparse, so a filesystem of overlay_size bounds it."""

    name = "nbdkit"

    def lacks(self):
        missing = [name for name in ("nbdkit", "nbdfuse", "mkfs.ext4") if not which(name)]
        return ("%s not installed" % ", ".join(missing)) if missing else fuse()

    def start(self, device, limit):
        space = self.file("space.img")
        fd = os.open(space, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
        try:
            os.posix_fallocate(fd, 0, limit)
        finally:
            os.close(fd)
        run(["mkfs.ext4", "-q", "-F", "-m", "0", "-O", "^has_journal", "-E", "lazy_itable_init=0", space], timeout=600)
        inner = self.file("space")
        os.makedirs(inner, mode=0o700, exist_ok=True)
        run(["mount", "-t", "ext4", "-o", "nodev,nosuid,noexec", _block.loop(space, writable=True), inner])
        socket = self.file("nbd")
        if len(socket) > 100:
            raise IntactError("%s is too long a name for a socket: give a shorter overlay_dir" % socket, path=socket)
        run(
            ["nbdkit", "--unix", socket, "--pidfile", self.file("nbdkit.pid"), "--filter=cow", "file", "file=" + device, "cache=none"],
            env={"TMPDIR": inner},
        )
        touch(self.state.view)
        # nbdfuse stays in the foreground: a session of its own outlives the task.
        script = 'exec nbdfuse "$0" --unix "$1" </dev/null >"$2" 2>&1'
        run(["setsid", "--fork", "sh", "-c", script, self.state.view, socket, self.file("nbdfuse.log")])
        until = time.monotonic() + 20
        while not any(_mounts.path_of(entry) == self.state.view for entry in _mounts.table()):
            if time.monotonic() > until:
                raise IntactError("nbdfuse made no view within 20 s: %s" % _tail(self.file("nbdfuse.log")))
            time.sleep(0.05)

    def full(self):
        place = os.statvfs(self.file("space"))
        return place.f_bavail * place.f_frsize < 128 << 10


def _tail(path):
    try:
        with open(path, "rb") as handle:
            return handle.read()[-500:].decode("utf-8", "backslashreplace").strip() or "it said nothing"
    except OSError:
        return "it said nothing"


def fuse():
    """Why there is no FUSE here, "" where there is."""
    if not os.path.exists("/dev/fuse") and which("modprobe"):
        run(["modprobe", "-q", "fuse"], check=False)
    return "" if os.path.exists("/dev/fuse") else "/dev/fuse is missing (module fuse)"
