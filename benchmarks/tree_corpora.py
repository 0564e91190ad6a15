# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The trees that are copied, always the same bytes: a mail store, a few big files, a document root with all that is awkward. And what is done to them."""

from __future__ import annotations

import os
import random
import struct
import subprocess
from collections.abc import Callable
from pathlib import Path

from ansible_collections.intact.hosting.plugins.module_utils._trees import _kernel, _manifest_file

SEED = 20261123
MAILS, BIG, GIB = 120_000, 4, 1 << 30
DOCUMENTS = 20_000


def acl(user: int, bits: int = 7) -> bytes:
    """A posix_acl value that names one user."""
    entries = ((1, 6, 2**32 - 1), (2, bits, user), (4, 4, 2**32 - 1), (16, 7, 2**32 - 1), (32, 4, 2**32 - 1))
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def mail(root: Path, scale: float) -> dict[str, int]:
    """120,000 files of 1 to 22 KB in Maildirs of 400."""
    rng = random.Random(SEED)  # noqa: S311 (the same bytes each time, no secret)
    noise, total = rng.randbytes(1 << 20), 0
    count = max(200, round(MAILS * scale))
    for number in range(count):
        user, box = divmod(number // 400, 4)
        folder = root / f"home/user{user:03d}/Maildir" / ("cur", ".Sent/cur", ".Archive/cur", "new")[box]
        if not number % 400:
            folder.mkdir(parents=True, exist_ok=True)
        size = rng.randrange(1000, 22_000)
        start = rng.randrange(len(noise) - size)
        path = folder / f"{1_200_000_000 + number}.M{number}P1.mail:2,S"
        path.write_bytes(noise[start : start + size])
        os.chown(path, 1001 + user, 1001 + user)
        total += size
    return {"files": count, "bytes": total}


def big(root: Path, scale: float) -> dict[str, int]:
    """Four files of 1 GiB."""
    rng = random.Random(SEED)  # noqa: S311 (the same bytes each time, no secret)
    size = max(1 << 20, round(GIB * scale) >> 20 << 20)
    root.mkdir(parents=True)
    for number in range(BIG):
        with (root / f"recording-{number}.mp4").open("wb") as handle:
            for _block in range(size >> 20):
                handle.write(rng.randbytes(1 << 20))
    return {"files": BIG, "bytes": BIG * size}


def mixed(root: Path, scale: float) -> dict[str, int]:
    """A document root: small files, hard links, a sparse file, ACLs, default ACLs, attributes, links, names that are no UTF-8."""
    rng = random.Random(SEED)  # noqa: S311 (the same bytes each time, no secret)
    count, total, top = max(100, round(DOCUMENTS * scale)), 0, os.fsencode(root)
    for number in range(count):
        folder = top + b"/site%02d/part-%d" % (number // 400, number // 20 % 20)
        if not number % 20:
            os.makedirs(folder, exist_ok=True)
        name = (b"file-%d.php", b"caf\xe9-%d", b"new\nline-%d", b"file %d.html")[number % 4 if number % 40 < 4 else 0] % number
        data = rng.randbytes(rng.randrange(200, 40_000))
        with open(folder + b"/" + name, "wb") as handle:
            handle.write(data)
        os.chown(folder + b"/" + name, 1001 + number // 400, 33)
        total += len(data)
        if not number % 10:
            os.setxattr(folder + b"/" + name, "system.posix_acl_access", acl(1001))
        if not number % 15:
            os.setxattr(folder + b"/" + name, "user.note", b"%d" % number)
        if not number % 12:
            os.link(folder + b"/" + name, top + b"/site00/linked-%d" % number)
        if not number % 20:
            os.symlink(name, folder + b"/latest")
            os.setxattr(folder, "system.posix_acl_default", acl(1001))
    with open(top + b"/sparse.img", "wb") as handle:
        handle.seek(64 << 20)
        handle.write(b"end")
    return {"files": count + 1, "bytes": total + 3}


CORPORA: dict[str, Callable[[Path, float], dict[str, int]]] = {"mail": mail, "big": big, "mixed": mixed}


def read(root: Path) -> None:
    """Read all of it once, so that every tool finds it in the page cache."""
    buffer = bytearray(1 << 20)
    for folder, _folders, names in os.walk(os.fsencode(root)):
        for name in names:
            path = os.path.join(folder, name)
            if os.path.isfile(path) and os.stat(path).st_blocks:
                with open(path, "rb", buffering=0) as handle:
                    while handle.readinto(buffer):
                        pass


def manifest(path: Path, count: int, shift: int) -> None:
    """A manifest as of count files. shift: of owners; -1: of times."""
    rng = random.Random(SEED)  # noqa: S311 (the same bytes each time, no secret)
    writer = _manifest_file.Writer(path)
    rows, size = [], 0
    for number in range(count):
        name = b"home/user%05d/Maildir/cur/%d.M%dP1.mail:2,S" % (number // 400, 1_200_000_000 + number, number)
        user = 1001 + number // 400 + max(shift, 0)
        line = b'{"path":"%s","type":"file","mode":"0600","uid":%d,"gid":%d,"size":%d,"mtime":%d,"digest":"%s"}' % (
            name,
            user,
            user,
            number % 20_000,
            1_200_000_000_000_000_000 + number - min(shift, 0),
            rng.randbytes(32).hex().encode(),
        )
        rows.append(writer.row(name, b"", line))
        size += len(rows[-1]) + 40
        if len(rows) == 4096:
            writer.add(rows, size)
            rows, size = [], 0
    writer.add(rows, size)
    writer.close()


# what is done to a copy, to see who notices: facts, section 5


def _keeping(path: Path, work: Callable[[], object]) -> None:
    """Change something and put the times back, its directory's too."""
    times = [(place, os.stat(place)) for place in (path, path.parent)]
    work()
    for place, state in times:
        if place.exists():
            os.utime(place, ns=(state.st_atime_ns, state.st_mtime_ns))


def _flip(top: Path) -> None:
    path = top / "site00/part-0/file-4.php"
    data = bytearray(path.read_bytes())
    data[100] ^= 1
    _keeping(path, lambda: path.write_bytes(data))


def _part(top: Path) -> None:
    path = top / "site00/linked-24"
    aside = path.with_name("aside")

    def work() -> None:
        os.rename(path, aside)
        subprocess.run(["cp", "-a", "--reflink=never", aside, path], check=True)
        aside.unlink()

    _keeping(path, work)


def _flag(top: Path) -> None:
    fd = os.open(top / "site00/part-0/file-5.php", os.O_RDONLY)
    try:
        _kernel.set_flags(fd, 0x10)
    finally:
        os.close(fd)


MUTATIONS: tuple[tuple[str, Callable[[Path], object]], ...] = (
    ("byte", _flip),
    ("mode", lambda top: os.chmod(top / "site00/part-0/file-6.php", 0o666)),
    ("ACL entry", lambda top: os.setxattr(top / "site00/part-0/file-10.php", "system.posix_acl_access", acl(1001, 5))),
    ("attribute", lambda top: os.setxattr(top / "site00/part-0/file-15.php", "user.note", b"x")),
    ("hard link", _part),
    ("removed", lambda top: _keeping(top / "site00/part-0/file-7.php", (top / "site00/part-0/file-7.php").unlink)),
    ("owner", lambda top: os.chown(top / "site00/part-0/file-8.php", 1077, 33)),
    ("flag", _flag),
)
