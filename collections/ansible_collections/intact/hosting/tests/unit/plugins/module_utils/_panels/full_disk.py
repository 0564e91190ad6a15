# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk that really runs full: a small file system of its own, which only a child of the test sees."""

from __future__ import annotations

import ctypes
import json
import os
import traceback

NEWNS, PRIVATE = 0x00020000, 0x4000 | (1 << 18)


def missing():
    """Why no file system can be mounted here, or ""."""
    if os.getuid():
        return "not root"
    return "" if within("/mnt", 1, lambda: True) is True else "no mount namespace"


def within(folder, pages, work):
    """What work() gives (JSON) while folder is a file system of so many pages; a sentence when there can't be one."""
    reader, writer = os.pipe()
    child = os.fork()
    if not child:
        with os.fdopen(writer, "w") as out:
            out.write(json.dumps(_told(os.fspath(folder), pages, work)))
            out.flush()
            os._exit(0)
    os.close(writer)
    with os.fdopen(reader) as told:
        said = told.read()
    os.waitpid(child, 0)
    return json.loads(said)


def _told(folder, pages, work):
    libc = ctypes.CDLL(None, use_errno=True)
    options = b"size=%d,mode=0700" % (pages * 4096)
    if libc.unshare(NEWNS) or libc.mount(b"none", b"/", None, PRIVATE, None) or libc.mount(b"tmpfs", folder.encode(), b"tmpfs", 0, options):
        return os.strerror(ctypes.get_errno())
    try:
        return work()
    except BaseException:
        return traceback.format_exc()
