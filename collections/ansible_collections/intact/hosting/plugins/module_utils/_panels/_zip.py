# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""zip: its table stands at the end, so it is read from a file without a name, in the directory for private work."""

from __future__ import annotations

import shutil
import tempfile
import zipfile
import zlib

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._panels._compressed import BOMB_BYTES, BOMB_RATIO
from ansible_collections.intact.hosting.plugins.module_utils._panels._streams import BLOCK, Broken, Reader

NAME = "zip"
IN_MEMORY = 16 << 20


def told(head):
    """Whether a file with this beginning is a zip, an empty one included."""
    return head[:4] in (b"PK\x03\x04", b"PK\x05\x06")


def members(source, work=None):
    """Yield (name, kind, size, reader, target) of each member, and raise Broken where the archive is."""
    with tempfile.SpooledTemporaryFile(IN_MEMORY, dir=work) as spool:
        shutil.copyfileobj(source, spool, BLOCK)
        spool.seek(0)
        try:
            archive = zipfile.ZipFile(spool)
        except (zipfile.BadZipFile, OSError, ValueError, NotImplementedError) as exc:
            raise Broken("it is cut short or damaged: %s" % exc) from exc
        with archive:
            for entry in archive.infolist():
                if entry.file_size > BOMB_BYTES and entry.file_size > BOMB_RATIO * max(entry.compress_size, 1):
                    raise Broken("member %s unpacks to more than %d times its size: it was made to fill a disk" % (escape(entry.filename), BOMB_RATIO))
                name = escape(entry.filename.rstrip("/") or "/").replace("!", "\\x21")
                body = Reader(_produce(archive, entry))
                yield name, "directory" if entry.is_dir() else "file", entry.file_size, body, ""


def _produce(archive, entry):
    held = []

    def produce():
        try:
            if not held:
                held.append(archive.open(entry))
            return held[0].read(BLOCK)
        except (zipfile.BadZipFile, zlib.error, OSError, ValueError, EOFError, RuntimeError, NotImplementedError) as exc:
            raise Broken("member %s is damaged: %s" % (escape(entry.filename), exc), alone=True) from exc

    return produce
