# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A world of its own for one process: an overlay over a disk that nobody else sees and that is gone with the process, if wanted with the disk as its /."""

from __future__ import annotations

import ctypes
import os
import stat

NEW_MOUNTS, NEW_NETWORK = 0x00020000, 0x40000000
NO_SUID, BIND, RECURSIVE, PRIVATE = 2, 4096, 16384, 1 << 18
SET_DEATH_SIGNAL, SET_NO_NEW_PRIVILEGES, KILL = 1, 38, 9
DEVICES = {"null": (1, 3), "zero": (1, 5), "random": (1, 8), "urandom": (1, 9)}


class Overlay:
    """lower: what is looked through at, never written. directory: of ours; what is written lands below it. merged: where the process sees both."""

    def __init__(self, lower, directory):
        self.lower, self.merged = lower, os.path.join(directory, "merged")
        self.upper, self._work = os.path.join(directory, "upper"), os.path.join(directory, "work")
        for path in (self.upper, self._work, self.merged):
            os.makedirs(path, mode=0o711)
        # what the overlay's own top says is what everybody sees of it
        state = os.stat(lower)
        os.chmod(self.upper, stat.S_IMODE(state.st_mode) | 0o111)
        # without copying files whose owner changes: a large data directory would be copied whole
        self.options = "metacopy=on,lowerdir=%s,upperdir=%s,workdir=%s" % tuple(_escaped(path) for path in (lower, self.upper, self._work))


def _escaped(path):
    return path.replace("\\", "\\\\").replace(":", "\\:").replace(",", "\\,")


def enter(overlay, owner=None, places=(), binds=None, user=None):
    """A function for Popen's preexec_fn. overlay: is mounted where only the process sees it.

    owner: (uid, gid) that everything at places (below merged) gets. binds: with it the overlay becomes /, without a network, and these [(directory here,
    path there)] are seen in it; user: (uid, gid) that the process then is, with no way to more rights.
    """
    libc = ctypes.CDLL(None, use_errno=True)

    def check(failed, what):
        if failed:
            number = ctypes.get_errno()
            raise OSError(number, "%s: %s" % (what, os.strerror(number)))

    def mount(source, target, kind, flags, options=None):
        words = [word.encode() if isinstance(word, str) else word for word in (source, target, kind, options)]
        check(libc.mount(words[0], words[1], words[2], ctypes.c_ulong(flags), words[3]), "mount %s" % target)

    def inside():
        check(libc.unshare(NEW_MOUNTS | (NEW_NETWORK if binds is not None else 0)), "unshare")
        mount(None, "/", None, RECURSIVE | PRIVATE)
        mount("overlay", overlay.merged, "overlay", NO_SUID, overlay.options)
        for place in places:
            _give(overlay.merged + place, owner)
        if binds is None:
            return
        for name, numbers in DEVICES.items():
            path = "%s/dev/%s" % (overlay.merged, name)
            if not os.path.lexists(path):
                os.makedirs(os.path.dirname(path), exist_ok=True)
                os.mknod(path, stat.S_IFCHR | 0o666, os.makedev(*numbers))
                os.chmod(path, 0o666)
        for source, target in binds:
            os.makedirs(overlay.merged + target, exist_ok=True)
            mount(source, overlay.merged + target, None, BIND)
        os.chroot(overlay.merged)
        os.chdir("/")
        os.setgroups([])
        os.setresgid(user[1], user[1], user[1])
        os.setresuid(user[0], user[0], user[0])
        check(libc.prctl(SET_NO_NEW_PRIVILEGES, 1, 0, 0, 0), "prctl")
        check(libc.prctl(SET_DEATH_SIGNAL, KILL, 0, 0, 0), "prctl")

    return inside


def _give(top, owner):
    for _folder, folders, names, at in os.fwalk(top):
        os.chown(".", owner[0], owner[1], dir_fd=at, follow_symlinks=False)
        for name in folders + names:
            os.chown(name, owner[0], owner[1], dir_fd=at, follow_symlinks=False)
