# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The system's own program directories: of those only files that carry set-id bits or a capability."""

from __future__ import annotations

import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _attributes, _descriptors
from ansible_collections.intact.hosting.plugins.module_utils._files import escape


def walk(walker, root):
    """Record such files below root (bytes) with a _tree.Walker, unless a tree has them already."""
    walker.settle()
    root = os.fsencode(walker.system.realpath(os.fsdecode(root)))
    try:
        fd = _descriptors.open_directory(root, walker.system.root)
    except (FileNotFoundError, NotADirectoryError):
        return
    try:
        if walker.seen(root, os.fstat(fd)):
            return  # /bin is /usr/bin on a merged system
        for folder, folders, names, at in os.fwalk(b".", dir_fd=fd):
            folders.sort()
            for name in names:
                path = os.path.normpath(os.path.join(root, folder, name))
                try:
                    st = os.stat(name, dir_fd=at, follow_symlinks=False)
                except FileNotFoundError:
                    continue
                if not stat.S_ISREG(st.st_mode) or not st.st_mode & 0o111 or escape(path) in walker.items:
                    continue
                extra = _capability(at, name)
                if extra or st.st_mode & 0o6000:
                    walker.record(path, st, extra)
    finally:
        os.close(fd)


def _capability(at, name):
    try:
        held = b"/proc/self/fd/%d/%s" % (at, name)
        return {"capability": _attributes.capability(os.getxattr(held, "security.capability", follow_symlinks=False))}
    except OSError:
        return {}
