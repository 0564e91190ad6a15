# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""An empty place to restore into, which can be no place of a living host, and which is gone afterwards whatever happened."""

from __future__ import annotations

import fcntl
import os
import shutil

from ansible_collections.intact.hosting.plugins.module_utils._backup import _metadata
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# Where a host lives. OURS is made for drills (/var/lib/intact is closed to the users that throw-away servers run as).
# /tmp, /mnt, /media and /var/tmp hold nothing that a host needs.
LIVE = (
    "/bin /boot /dev /etc /home /lib /lib32 /lib64 /opt /proc /root /run /sbin /srv /sys /usr /var/backups /var/cache /var/lib /var/log /var/mail "
    "/var/spool /var/vmail /var/www"
).split()
OURS = "/var/lib/intact-drills"
MARK = ".intact-drill"
SPARE = 1.1  # a filesystem needs room of its own


def refuse(path, live=()):
    """Raise IntactError when a directory must not be restored into. live: more places (text) that something on this host works with. Looks, changes nothing."""

    def no(why):
        raise IntactError("%s is no place for a drill: %s" % (path, why), path=path, why=why)

    if not os.path.isabs(path) or os.path.normpath(path) != path:
        no("write it as an absolute path without . or .. or a slash at its end")
    if path == "/":
        no("it is the whole host")
    real = os.path.realpath(path)
    if real != path:
        no("it is, or lies behind, a link: it is %s" % real)
    if os.path.ismount(path):
        # removing it afterwards could not be undone, and could not be done
        no("a filesystem is mounted there: name a new directory in it")
    for place in list(LIVE) + [os.path.realpath(p) for p in live]:
        inside = path == place or path.startswith(place.rstrip("/") + "/")
        if inside and not path.startswith(OURS + "/"):
            no("it lies in %s, where this host lives" % place if path != place else "this host lives there")
        if place.startswith(path + "/"):
            no("%s, where this host lives, lies in it" % place)
    if os.path.lexists(path):
        if not os.path.isdir(path):
            no("it is there and is no directory")
        if os.listdir(path):
            no("it is not empty")


class Scratch:
    """A directory that this drill makes, holds while it runs, and removes. With an empty directory that was there, only what lies in it is removed."""

    def __init__(self, path, live=()):
        self.path, self._live = path, list(live)
        self._made, self._lock = False, None

    def __enter__(self):
        refuse(self.path, self._live)
        self._made = not os.path.isdir(self.path)
        if self._made:
            os.makedirs(os.path.dirname(self.path), mode=0o711, exist_ok=True)
            os.mkdir(self.path, 0o711)
        try:
            # throw-away servers pass through here as users of their own; trees with customers' files are closed to all but root (see place)
            os.chmod(self.path, 0o711)
            # a drill that was killed leaves the mark behind without its lock: the next one may clear what is beside it
            self._lock = os.open(os.path.join(self.path, MARK), os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            _metadata.holds_all(self.path)
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *_exc):
        clear(self.path)
        if self._made:
            os.rmdir(self.path)
        if self._lock is not None:
            os.close(self._lock)

    def room(self, needed):
        """Raise IntactError when so many bytes do not fit."""
        state = os.statvfs(self.path)
        free = state.f_bavail * state.f_frsize
        if free < needed * SPARE:
            raise IntactError(
                "%s has room for %d MB, and %d MB are needed: take a bigger disk, or drill fewer classes at once"
                % (self.path, free >> 20, int(needed * SPARE) >> 20),
                path=self.path,
                free=free,
                needed=int(needed * SPARE),
            )

    def place(self, name):
        """A new empty directory in it, which holds a closed `tree`."""
        path = os.path.join(self.path, name)
        os.mkdir(path)
        os.chmod(path, 0o711)
        os.mkdir(os.path.join(path, "tree"), 0o700)
        return path

    def drop(self, path):
        """Remove a place again."""
        if os.path.dirname(path) != self.path:
            raise IntactError("%s is none of this drill's places" % path)
        _remove(path)


def clear(path):
    """Remove everything in a directory, flags or not."""
    for name in os.listdir(path):
        _remove(os.path.join(path, name))


def _remove(path):
    if os.path.isdir(path) and not os.path.islink(path):
        _metadata.free(path)
        shutil.rmtree(path)
    else:
        os.unlink(path)


def sweep(parent):
    """Remove scratch roots below parent that a killed drill left behind. Returns their paths."""
    gone = []
    for folder, folders, names in os.walk(parent):
        if MARK not in names:
            continue
        folders[:] = []
        fd = os.open(os.path.join(folder, MARK), os.O_RDWR | os.O_CLOEXEC)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            clear(folder)
            os.rmdir(folder)
            gone.append(folder)
        except BlockingIOError:
            pass  # that drill runs
        finally:
            os.close(fd)
    return gone


def size(manifest):
    """Bytes that restoring a manifest's tree takes at most: what its files hold, each inode once, holes filled as older versions of restic do."""
    items = ((manifest.get("sections") or {}).get("files") or {}).get("items") or {}
    files = sum(item.get("size", 0) for path, item in items.items() if item.get("type") == "file" and item.get("hardlink", path) == path)
    return files + 4096 * len(items)
