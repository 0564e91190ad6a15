# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The directory of what is saved: every file is read back from the disk and held against what was read from its source."""

from __future__ import annotations

import hashlib
import os
import stat
import urllib.parse

from ansible_collections.intact.hosting.plugins.module_utils._baseline._descriptors import open_file
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

CHUNK = 1 << 20
# A message is looked at as a whole; a larger one is no mail.
LARGEST = 512 << 20


def quoted(name):
    """A name as one component of a path, whatever is in it."""
    text = urllib.parse.quote(name, safe=" @+=,()")
    return text.replace(".", "%2E", 1) if text.startswith(".") else text


class Store:
    """What is saved below a directory (0700), file by file. `files`: [{file, sha256, bytes, from}]; `unsaved`: [{what, why}]."""

    def __init__(self, directory):
        self.directory = directory
        self.files, self.unsaved = [], []
        os.makedirs(directory, mode=0o700, exist_ok=True)

    def lost(self, what, why):
        """Something that could not be saved: it is told, never passed over."""
        self.unsaved.append({"what": what, "why": why})

    def put(self, relative, chunks, source, **more):
        """Write chunks (an iterable of bytes) to a file below the directory and read it back; its entry. Raises IntactError when it is not the same."""
        path = os.path.join(self.directory, relative)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        seen, count = hashlib.sha256(), 0
        fd = os.open(path + ".half", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
        with os.fdopen(fd, "wb") as handle:
            for chunk in chunks:
                handle.write(chunk)
                seen.update(chunk)
                count += len(chunk)
            handle.flush()
            os.fsync(handle.fileno())
            # What is read back must come from the disk.
            os.posix_fadvise(handle.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
        again = hashlib.sha256()
        with open(path + ".half", "rb") as handle:
            for chunk in iter(lambda: handle.read(CHUNK), b""):
                again.update(chunk)
        if again.hexdigest() != seen.hexdigest():
            raise IntactError("%s is on the disk with another content than was written: look at the disk" % escape(path))
        os.rename(path + ".half", path)
        entry = dict(more, file=escape(relative), sha256=seen.hexdigest(), bytes=count)
        entry["from"] = source
        self.files.append(entry)
        return entry


def plain(name, parent, since=0.0):
    """(descriptor, status) of a plain file that changed since a moment, or None; no link is followed. The caller closes it."""
    try:
        fd = open_file(name, parent)
    except OSError:
        return None
    status = os.fstat(fd)
    if stat.S_ISREG(status.st_mode) and status.st_ctime >= since:
        return fd, status
    os.close(fd)
    return None


def chunks(fd):
    """The content of an open file."""
    while True:
        data = os.read(fd, CHUNK)
        if not data:
            return
        yield data


def whole(fd, size):
    """The content of an open file as one, or None when it is too large for that."""
    return b"".join(chunks(fd)) if size <= LARGEST else None
