# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Courier's numbers for Dovecot, in a live Maildir that phase files brought: written before Dovecot looks for the first time, as its owner's file.

Without it every POP3 client loads everything again, and every IMAP client throws its copy away.
"""

from __future__ import annotations

import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors
from ansible_collections.intact.hosting.plugins.module_utils._migration import _maildir

NAMES = (b"Maildir", b".maildir")


def convert(home):
    """How many folders below a home got a dovecot-uidlist. The home is its owner's: nothing is followed, nothing is overwritten."""
    done = 0
    try:
        top = _descriptors.open_directory(os.fsencode(os.path.realpath(home)))
    except OSError:
        return 0
    try:
        for name in NAMES:
            root = _open(name, top)
            if root is None:
                continue
            try:
                done += _folder(root)
                for entry in os.listdir(root):
                    raw = os.fsencode(entry)
                    below = _open(raw, root) if raw.startswith(b".") and raw not in (b".", b"..") else None
                    if below is not None:
                        try:
                            done += _folder(below)
                        finally:
                            os.close(below)
            finally:
                os.close(root)
    finally:
        os.close(top)
    return done


def _open(name, parent):
    try:
        return os.open(name, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    except OSError:
        return None


def _folder(fd):
    try:
        source = _descriptors.open_file(b"courierimapuiddb", fd)
    except OSError:
        return 0
    with os.fdopen(source, "rb") as handle:
        status = os.fstat(handle.fileno())
        text = handle.read(1 << 28) if stat.S_ISREG(status.st_mode) else b""
    validity, following, numbers = _maildir.parse_uids(text)
    if not (validity and numbers):
        return 0
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    try:
        target = os.open(b"dovecot-uidlist", flags, 0o600, dir_fd=fd)
    except FileExistsError:
        return 0
    with os.fdopen(target, "wb") as handle:
        handle.write(_maildir.dovecot_list(validity, max(following, max(numbers.values()) + 1), numbers))
        os.fchown(handle.fileno(), status.st_uid, status.st_gid)
        handle.flush()
        os.fsync(handle.fileno())
    return 1
