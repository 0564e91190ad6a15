# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Files that survive a power cut, and names that survive JSON."""

from __future__ import annotations

import errno
import gzip
import json
import os
import re
import stat
import tempfile

# How the name of a file begins that write_atomic() has not finished.
HALF = ".intact-"
_PLAIN = re.compile(r"[^\\\x00-\x1f\x7f\udc80-\udcff]*\Z")


def escape(name):
    r"""Printable text for a name given as bytes or surrogate-escaped str, reversible by unescape().

    Backslash, control characters and bytes that are not UTF-8 become \xNN.
    """
    raw = os.fsencode(name) if isinstance(name, str) else name
    text = raw.decode("utf-8", "surrogateescape")
    if _PLAIN.match(text):
        return text
    out = []
    for char in text:
        code = ord(char)
        if 0xDC80 <= code <= 0xDCFF:
            out.append("\\x%02x" % (code - 0xDC00))
        elif char == "\\" or code < 0x20 or code == 0x7F:
            out.append("\\x%02x" % code)
        else:
            out.append(char)
    return "".join(out)


def unescape(text):
    """The bytes that escape() was given."""
    out, index = bytearray(), 0
    while index < len(text):
        if text.startswith("\\x", index):
            out.append(int(text[index + 2 : index + 4], 16))
            index += 4
        else:
            out += text[index].encode("utf-8")
            index += 1
    return bytes(out)


def fsync_directory(path):
    """Make a rename or a new name in a directory durable."""
    fd = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


def write_atomic(path, data, mode=0o600):
    """Replace path by data (bytes): temporary file beside it, fsync, rename, fsync of the directory."""
    directory = os.path.dirname(os.path.abspath(path))
    fd, temporary = tempfile.mkstemp(prefix=HALF, dir=directory)
    try:
        with os.fdopen(fd, "wb") as handle:
            handle.write(data)
            handle.flush()
            os.fchmod(handle.fileno(), mode)
            os.fsync(handle.fileno())
        os.rename(temporary, path)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
    fsync_directory(directory)


def append_durable(path, line, mode=0o600):
    """Append one line (bytes without newline), in a single write where there is room for it, and fsync it. OSError when there is none.

    A torn line left by an earlier power cut is ended first, so that it can't swallow this one.
    """
    fd = os.open(path, os.O_RDWR | os.O_APPEND | os.O_CREAT, mode)
    try:
        size = os.fstat(fd).st_size
        torn = size > 0 and os.pread(fd, 1, size - 1) != b"\n"
        rest = (b"\n" if torn else b"") + line + b"\n"
        while rest:
            # a disk that fills up takes the beginning and says nothing; the next write tells
            rest = rest[os.write(fd, rest) :]
        os.fsync(fd)
    finally:
        os.close(fd)


def read_if_exists(path, limit=None):
    """The bytes of a plain file (at most limit), or None when there is none.

    Names in customers' trees may be pipes or links to devices, which would hold the reader up for ever or fill its memory: they are not read.
    """
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return None
    mode = os.fstat(fd).st_mode
    if not stat.S_ISREG(mode):
        os.close(fd)
        if stat.S_ISDIR(mode):
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), path)
        return None
    with os.fdopen(fd, "rb") as handle:
        return handle.read() if limit is None else handle.read(limit)


def write_document(path, document, mode=0o600):
    """Write a JSON document atomically; gzip when the name ends in .gz. Returns its size in bytes."""
    data = json.dumps(document, sort_keys=True, separators=(",", ":")).encode("utf-8", "backslashreplace")
    if path.endswith(".gz"):
        data = gzip.compress(data, 6, mtime=0)
    write_atomic(path, data, mode)
    return len(data)


def read_document(path):
    """The JSON document that write_document() wrote."""
    with open(path, "rb") as handle:
        data = handle.read()
    return json.loads(gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data)
