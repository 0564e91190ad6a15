#!/usr/bin/env python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What each MiB of a disk is, by its device and by the image behind it: blocks.py DEVICE, on the controller, as root.

Prints {"device": [digest], "image": [digest]}.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys

MIB = 1 << 20


def digests(path: str) -> list[str]:
    with open(path, "rb") as handle:
        return [hashlib.sha256(piece).hexdigest()[:16] for piece in iter(lambda: handle.read(MIB), b"")]


def main(device: str) -> int:
    image = subprocess.run(["losetup", "--noheadings", "--output", "BACK-FILE", device], check=True, capture_output=True, text=True).stdout.strip()
    print(json.dumps({"device": digests(device), "image": digests(image)}))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1]))
