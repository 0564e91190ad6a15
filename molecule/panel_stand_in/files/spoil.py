#!/usr/bin/python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Spoil an export's largest file: flip a bit in its middle (the same again mends it), or cut its end off. spoil.py flip|cut EXPORT"""

from __future__ import annotations

import os
import sys
from pathlib import Path

how, export = sys.argv[1:3]
path = max((path for path in Path(export).iterdir() if path.name.endswith(".gpg")), key=lambda path: path.stat().st_size)
size = path.stat().st_size
with path.open("r+b") as handle:
    if how == "cut":
        handle.truncate(size * 3 // 5)
    else:
        handle.seek(size // 2)
        byte = handle.read(1)[0]
        handle.seek(size // 2)
        handle.write(bytes([byte ^ 1]))
    os.fsync(handle.fileno())
print(path)
