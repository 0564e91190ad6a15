# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""gzip, bzip2, xz and zstd, read to their last byte: checksums, several streams one after the other, and what is behind the end."""

from __future__ import annotations

import bz2
import lzma
import os
import subprocess
import tempfile
import threading
import zlib

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._panels._streams import BLOCK, Broken, Reader

# What unpacks to more than this and to more than so many times itself was made to fill somebody's memory or disk.
BOMB_BYTES, BOMB_RATIO = 256 << 20, 2000
ENDINGS = (".gz", ".bz2", ".xz", ".zst", ".zstd")
TARS = {".tgz": ".tar", ".tbz": ".tar", ".tbz2": ".tar", ".txz": ".tar", ".tzst": ".tar"}


class _Gzip:
    """zlib's decompressor with the words of the other two."""

    def __init__(self):
        self._inner, self._waiting = zlib.decompressobj(31), b""

    @property
    def eof(self):
        return self._inner.eof

    @property
    def unused_data(self):
        return self._inner.unused_data

    @property
    def needs_input(self):
        return not self._inner.unconsumed_tail

    def decompress(self, data, most):
        return self._inner.decompress(self._inner.unconsumed_tail + data, most)


KINDS = {
    "gzip": (b"\x1f\x8b\x08", _Gzip),
    "bzip2": (b"BZh", bz2.BZ2Decompressor),
    "xz": (b"\xfd7zXZ\x00", lzma.LZMADecompressor),
    "zstd": (b"\x28\xb5\x2f\xfd", None),
}
_ERRORS = (zlib.error, lzma.LZMAError, OSError, ValueError, EOFError)


def told(head):
    """The name of the compression that a file with this beginning has, or ""."""
    kind = next((kind for kind, (magic, _make) in KINDS.items() if head.startswith(magic)), "")
    return "" if kind == "bzip2" and head[4:10] not in (b"1AY&SY", b"\x17rE8P\x90") else kind  # three letters are no proof


def stem(name):
    """What a compressed file is called without its compression."""
    root, ending = os.path.splitext(name)
    return root + TARS.get(ending.lower(), "") if ending.lower() in TARS or ending.lower() in ENDINGS else name


def opened(kind, source):
    """A Reader of what a compressed Reader holds. Broken: cut short, a wrong checksum, trailing bytes, a bomb."""
    blocks = _zstd(source) if kind == "zstd" else _streams(kind, source)
    made = [0]

    def produce():
        block = next(blocks, b"")
        made[0] += len(block)
        if made[0] > BOMB_BYTES and made[0] > BOMB_RATIO * max(source.passed, 1):
            raise Broken("it unpacks to more than %d times its size: it was made to fill a disk" % BOMB_RATIO)
        return block

    return Reader(produce, blocks.close)


def _streams(kind, source):
    magic, make = KINDS[kind]
    data = b""
    while True:
        inner = make()
        while not inner.eof:
            if not data and inner.needs_input:
                data = source.read()
                if not data:
                    raise Broken("it is cut short: its %s stream has no end" % kind)
            try:
                block = inner.decompress(data, BLOCK)
            except _ERRORS as exc:
                raise Broken("its %s stream is damaged: %s" % (kind, exc)) from exc
            data = b""
            if block:
                yield block
        data = inner.unused_data or source.read()
        if not data.startswith(magic[:1]):
            break
    _nothing(data, source)


def _nothing(data, source):
    """Only zeros may stand behind the end, as tapes and block devices leave them."""
    behind = 0
    while data:
        behind += len(data.strip(b"\0"))
        data = source.read()
    if behind:
        raise Broken("%d bytes stand behind its end" % behind)


def _zstd(source):
    program = _command.which("zstd")
    if not program:
        raise Broken("the program zstd is not installed on this host: install it, as nothing else reads this archive")
    failed = []
    with tempfile.TemporaryFile() as errors:
        process = subprocess.Popen([program, "-dcq", "--no-progress"], stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors)
        feeder = threading.Thread(target=_feed, args=(source, process.stdin, failed), daemon=True)
        feeder.start()
        try:
            yield from iter(lambda: process.stdout.read(BLOCK), b"")
        finally:
            process.stdout.close()
            if process.poll() is None:
                # the reader gave up, or zstd is just ending
                try:
                    process.wait(5)
                except subprocess.TimeoutExpired:
                    process.kill()
            process.wait()
            feeder.join()
        if failed:
            raise failed[0]
        if process.returncode:
            errors.seek(0)
            said = errors.read().decode("utf-8", "backslashreplace").strip().splitlines()
            raise Broken("its zstd stream is damaged or cut short: %s" % (said[-1][-200:] if said else "status %d" % process.returncode))


def _feed(source, pipe, failed):
    """Give zstd all there is, and read on when it wants no more: the layer below is to be read to its end."""
    taken = True
    try:
        for block in iter(source.read, b""):
            if taken:
                try:
                    pipe.write(block)
                except (BrokenPipeError, ValueError):
                    taken = False
    except Exception as exc:  # whatever broke below is raised where this stream is read
        failed.append(exc)
    finally:
        try:
            pipe.close()
        except OSError:
            pass
