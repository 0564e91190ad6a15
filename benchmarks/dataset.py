# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data that is backed up: Maildirs, sites and a few big files, the same bytes for the same seed and scale."""

from __future__ import annotations

import base64
import math
import os
import random
from pathlib import Path

SMALL = 120_000
BIG = 4
GIB = 1 << 30
BLOCK = 1 << 20
SEED = 20261122
WORDS = 20_000
PER_FOLDER = {"mail": 400, "site": 18}


def make(root: Path, scale: float) -> dict[str, int]:
    """Write the tree; {small, big, bytes}. Sizes of small files are spread evenly over the logarithm from 200 bytes to 30 KiB."""
    rng = random.Random(SEED)  # noqa: S311 (the same bytes each time, no secret)
    text, noise = _text(rng), rng.randbytes(4 * BLOCK)
    count = max(100, round(SMALL * scale))
    total = 0
    for number in range(count):
        mail = number % 2 == 0
        path = root / _name(number // 2, mail)
        path.parent.mkdir(parents=True, exist_ok=True)
        size = round(math.exp(rng.uniform(math.log(200), math.log(30 * 1024))))
        data = _content(rng, number, mail, size, text, noise)
        path.write_bytes(data)
        total += len(data)
    size = max(BLOCK, round(GIB * scale / BLOCK) * BLOCK)
    for number in range(BIG):
        path = root / "srv" / "media" / f"recording-{number}.mp4"
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("wb") as handle:
            for _block in range(size // BLOCK):
                handle.write(rng.randbytes(BLOCK))
        total += size
    os.sync()
    return {"small": count, "big": BIG, "bytes": total}


def read(root: Path) -> None:
    """Read all of it once, so that every program finds it in the page cache."""
    buffer = bytearray(BLOCK)
    for folder, _folders, names in os.walk(root):
        for name in names:
            with open(os.path.join(folder, name), "rb", buffering=0) as handle:
                while handle.readinto(buffer):
                    pass


def _name(number: int, mail: bool) -> str:
    folder, inside = divmod(number, PER_FOLDER["mail" if mail else "site"])
    if mail:
        user, box = divmod(folder, 4)
        place = ("cur", ".Sent/cur", ".Archive.2025/cur", "new")[box]
        return f"home/user{user:03d}/Maildir/{place}/{1700000000 + number}.M{number}P1.mail:2,S"
    site, part = divmod(folder, 200)
    return f"var/www/site{site:02d}/wp-content/plugins/plugin-{part // 8}/part-{part % 8}/file-{inside}.php"


def _text(rng: random.Random) -> bytes:
    """Words such as programs and letters are made of."""
    letters = "etaoinshrdlucmfwypvbgkjqxz_"
    words = ["".join(rng.choices(letters, weights=range(27, 0, -1), k=rng.randint(2, 11))) for _word in range(WORDS)]
    weights = [1 / (rank + 1) for rank in range(WORDS)]
    return " ".join(rng.choices(words, weights=weights, k=600_000)).encode()


def _content(rng: random.Random, number: int, mail: bool, size: int, text: bytes, noise: bytes) -> bytes:
    """Seven of ten are text; the others are pictures, in a letter as base64."""
    head = f"Message-ID: <{number}@example.com>\n".encode()
    if rng.random() < 0.7:
        start = rng.randrange(len(text) - size)
        return (head + text[start : start + size])[:size]
    start = rng.randrange(len(noise) - size)
    data = noise[start : start + size]
    return (head + (base64.encodebytes(data) if mail else data))[:size]
