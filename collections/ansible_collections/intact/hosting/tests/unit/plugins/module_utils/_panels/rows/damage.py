# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What becomes of an export's files when the panel or the disk wrote them badly: each gives a cell's `after`."""

from __future__ import annotations

import gzip
import io
import json
import sqlite3
import tarfile


def each(*changes):
    """One after the other."""

    def change(directory):
        for one in changes:
            one(directory)

    return change


def found(directory, name):
    """The one file of this name, in which * stands for anything."""
    (path,) = directory.glob(name)
    return path


def rewritten(name, make):
    """make(bytes) -> bytes."""

    def change(directory):
        path = found(directory, name)
        before = path.read_bytes()
        after = make(before)
        assert after != before
        path.write_bytes(after)

    return change


def cut(name, share=0.5):
    """It ends early."""
    return rewritten(name, lambda data: data[: int(len(data) * share)])


def flip(name, near=b"", by=4):
    """One bit is another: in the middle, or in what is written last of a text."""

    def flipped(data):
        place = data.rindex(near) + len(near) - 1 if near else len(data) // 2
        return data[:place] + bytes([data[place] ^ by]) + data[place + 1 :]

    return rewritten(name, flipped)


def text(name, old, new):
    """A text in it is another one."""
    return rewritten(name, lambda data: data.replace(old.encode(), new.encode()))


def inner(name, share=0.6):
    """What is packed is cut, and then packed as a whole: the packing's own sum says nothing of it."""
    return rewritten(name, lambda data: gzip.compress(_inside(gzip.decompress(data), share), mtime=0))


def _inside(data, share):
    # in the middle of a member: what fills a tar's end says nothing
    return data[: int(len(data.rstrip(b"\0")) * share) // 512 * 512 + 100]


def gone(name):
    """It is not there."""
    return lambda directory: found(directory, name).unlink()


def sql(name, *statements):
    """Rows of a copy of a database are others."""

    def change(directory):
        connection = sqlite3.connect(str(found(directory, name)))
        for statement in statements:
            assert connection.execute(statement).rowcount
        connection.commit()
        connection.close()

    return change


def blank(name):
    """A sound copy of a database that holds nothing of the panel's."""

    def change(directory):
        path = found(directory, name)
        path.unlink()
        connection = sqlite3.connect(str(path))
        connection.execute("CREATE TABLE x (y)")
        connection.commit()
        connection.close()

    return change


def document(name, change):
    """A JSON document says something else."""

    def make(data):
        told = json.loads(data)
        change(told)
        return json.dumps(told).encode()

    return rewritten(name, make)


def member(name, path, make):
    """A member of a tar (packed or not) is make(bytes), or gone when that is None."""

    def repack(data):
        out = io.BytesIO()
        with tarfile.open(fileobj=io.BytesIO(data)) as old, tarfile.open(fileobj=out, mode="w:gz" if data[:2] == b"\x1f\x8b" else "w") as new:
            for entry in old:
                content = old.extractfile(entry).read() if entry.isfile() else b""
                content = make(content) if entry.name == path else content
                if content is not None:
                    entry.size = len(content)
                    new.addfile(entry, io.BytesIO(content))
        return out.getvalue()

    return rewritten(name, repack)
