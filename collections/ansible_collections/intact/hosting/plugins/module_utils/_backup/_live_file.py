# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A SQLite database in a restore: the file that came with its directory stays when it holds what the manifest says; else the stream takes its place."""

from __future__ import annotations

import contextlib
import errno
import hashlib
import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._backup import sqlite
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors
from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

BLOCK = 1 << 16
# what SQLite keeps beside a file, and must not be taken for the new one's
BESIDE = ("-journal", "-wal", "-shm")


def free_name(path):
    """The path, or with a number behind when something was kept there before."""
    kept, number = path, 1
    while os.path.lexists(kept):
        number += 1
        kept = "%s.%d" % (path, number)
    return kept


def items(view, name):
    """Items of the file on this host; None when it is not there or is no database."""
    path = sqlite.file_of(name)
    status = view.lstat(path)
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    reader = sqlite.Reader(name, path, status.st_uid, status.st_gid, copy=False)
    try:
        return reader.answer()
    except IntactError:
        return None  # torn when it was backed up as a file: the stream is for that
    finally:
        reader.close()


def load(view, name, stream, aside, known):
    """Write the stream beside its place, and put it there when it is whole; what was there goes aside. known: {uid, gid, mode} of the backup, or None."""
    path = sqlite.file_of(name)
    here = view.lstat(path)
    if here is not None and not stat.S_ISREG(here.st_mode) and not stat.S_ISLNK(here.st_mode):
        raise IntactError("%s: what is there on this host is no file: move it away" % name)
    if here is not None and stat.S_ISLNK(here.st_mode):
        here = None  # a link says nothing of the file's owner, and is not followed
    if known is None and here is None:
        raise IntactError("%s: neither the backup nor this host says whose file it is: restore the directory that it is in" % name)
    owner, group = (known["uid"], known["gid"]) if known else (here.st_uid, here.st_gid)
    mode = int(known["mode"], 8) if known else stat.S_IMODE(here.st_mode)
    try:
        folder = _descriptors.open_directory(os.fsencode(view.realpath(os.path.dirname(path))), view.root)
    except FileNotFoundError as exc:
        raise IntactError("%s: its directory is not on this host: restore it first" % name) from exc
    base = os.path.basename(path)
    fresh = ".intact-restore-" + hashlib.sha256(os.fsencode(base)).hexdigest()[:16]
    try:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(fresh, dir_fd=folder)  # of a run that was cut
        fd = os.open(fresh, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
        try:
            for block in iter(lambda: stream.read(BLOCK), b""):
                view_of = memoryview(block)
                while view_of:
                    view_of = view_of[os.write(fd, view_of) :]
            if not sqlite.cut("/proc/self/fd/%d/%s" % (folder, fresh)):
                raise IntactError("%s: the stream is not whole" % name)
            os.fchown(fd, owner, group)
            os.fchmod(fd, mode)
            os.fsync(fd)
            _put_aside(folder, base, os.path.join(aside, "sqlite" + os.path.dirname(path)))
            os.rename(fresh, base, src_dir_fd=folder, dst_dir_fd=folder)
            os.fsync(folder)
        except BaseException:
            with contextlib.suppress(FileNotFoundError):
                os.unlink(fresh, dir_fd=folder)
            raise
        finally:
            os.close(fd)
    finally:
        os.close(folder)


def _put_aside(folder, base, aside):
    """Keep the file and what is beside it; the file itself stays in place too, until the new one takes it."""
    for name in [base] + [base + ending for ending in BESIDE]:
        try:
            os.stat(name, dir_fd=folder, follow_symlinks=False)
        except FileNotFoundError:
            continue
        os.makedirs(aside, mode=0o700, exist_ok=True)
        kept = free_name(os.path.join(aside, name))
        try:
            # the very file: whoever has it open still writes to it
            os.link(name, kept, src_dir_fd=folder, follow_symlinks=False)
        except OSError as exc:
            if exc.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                raise
            _copy(folder, name, kept)
        fsync_directory(aside)
        if name != base:
            os.unlink(name, dir_fd=folder)


def _copy(folder, name, kept):
    if stat.S_ISLNK(os.stat(name, dir_fd=folder, follow_symlinks=False).st_mode):
        os.symlink(os.readlink(name, dir_fd=folder), kept)
        return
    source = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=folder)
    with os.fdopen(source, "rb") as reading, os.fdopen(os.open(kept, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600), "wb") as writing:
        for block in iter(lambda: reading.read(BLOCK), b""):
            writing.write(block)
        writing.flush()
        os.fsync(writing.fileno())
