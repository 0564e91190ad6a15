# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Configuration in a checkpoint: what is at some paths, a copy of it with all metadata, and in what two looks differ."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors, _mounttable, _tree
from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, fsync_directory, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

# what a copy can't have, or has otherwise without being another: holes, names outside of the copy, flags that are set when it is put back
LOOSE = ("sparse", "links", "flags", "hardlink")
TRIES = 3


def walk(view, paths, root=b"/", without=()):
    """{escaped path: what it is} of everything at and below these paths; other filesystems are left out, and what is kept as a database.

    root: where / is looked for. without: escaped paths.
    """
    system = view if root == b"/" else _Below(root)
    mounts = mounted(paths) if system.root == b"/" else set()
    left = mounts | {unescape(path) for path in without}
    walker = _tree.Walker(system, lambda path, _name, _kind, _target: path in left)
    for path in paths:
        raw = unescape(path)
        try:
            folder = _descriptors.open_directory(os.fsencode(system.realpath(os.fsdecode(os.path.dirname(raw)))), system.root)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            walker.entry(folder, os.path.basename(raw), raw)
        except FileNotFoundError:
            pass  # not there: after a way back it must not be there either
        finally:
            os.close(folder)
    walker.finish()
    return walker.items


def mounted(paths):
    """What is mounted below these paths, as bytes: it is neither kept nor put back."""
    tops = [unescape(path) for path in paths]
    return {point for point in _mounttable.types(System()) if any(point.startswith(top.rstrip(b"/") + b"/") for top in tops) and point not in tops}


class _Below(System):
    """A copy below a directory of our own, where every link above a path was made into a directory."""

    def __init__(self, root):
        super().__init__()
        self.root = root

    def realpath(self, path):
        return path


def differing(before, after, loose=()):
    """Sorted paths that are not in both as the same."""
    return sorted(path for path in set(before) | set(after) if _less(before.get(path), loose) != _less(after.get(path), loose))


def _less(item, loose):
    return item and {key: value for key, value in item.items() if key not in loose}


def keep(view, paths, root, without=(), loose=lambda _path: False, tell=lambda _line: None):
    """Copy the paths, metadata and all, and hold the copy against them: what changes meanwhile is copied again.

    loose(path): whether customers write there; what of theirs changes each time (logs, sessions) is kept as it was at one of the times.
    """
    root = os.fsencode(root)
    for attempt in range(TRIES):
        before = walk(view, paths, without=without)
        for path in paths:
            _copy(view.root.rstrip(b"/"), unescape(path), root)
        for point in mounted(paths) if view.root == b"/" else ():
            with contextlib.suppress(FileNotFoundError):
                os.rmdir(root + point)
        for path in without:
            with contextlib.suppress(FileNotFoundError, NotADirectoryError):
                os.unlink(root + unescape(path))
        after = walk(view, paths, root, without)
        wrong = differing(before, after, LOOSE)
        if wrong and attempt + 1 == TRIES and all(loose(path) for path in wrong):
            tell("%d of customers' files changed each time they were copied: %s" % (len(wrong), ", ".join(wrong[:3])))
            before, wrong = after, []
        if not wrong:
            _durable(root)
            return before
        shutil.rmtree(root)
        os.mkdir(root, 0o700)
    raise IntactError("%s changed each time it was copied: stop what writes to it, or leave it out" % ", ".join(wrong[:3]), paths=wrong[:100])


def _durable(root):
    for folder, _folders, names, at in os.fwalk(root):
        for name in names:
            if stat.S_ISREG(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode):
                fd = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=at)
                os.fsync(fd)
                os.close(fd)
        fsync_directory(folder)


def _copy(top, path, root):
    if not os.path.lexists(top + path):
        return
    place = root + path
    os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
    # -a: owner, mode, times, access lists, attributes, hard links
    done = run(["cp", "-a", "--one-file-system", "--no-target-directory", "--", top + path, place], timeout=86400, check=False)
    if done.rc and os.path.lexists(top + path):
        raise IntactError("%s could not be copied: %s" % (escape(path), done.error), space="No space left" in done.error)
