# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Unpack the collections that requirements files name from an `ansible` wheel: WHEEL DESTINATION FILE..."""

from __future__ import annotations

import sys
import zipfile
from pathlib import Path

import yaml


def wanted(paths: list[Path]) -> list[str]:
    names = []
    for path in paths:
        data = yaml.safe_load(path.read_text(encoding="utf-8")) or {}
        names += [item if isinstance(item, str) else item["name"] for item in data.get("collections") or []]
    return list(dict.fromkeys(names))


def main(wheel: str, destination: str, *files: str) -> int:
    names = wanted([Path(f) for f in files])
    with zipfile.ZipFile(wheel) as archive:
        members = archive.namelist()
        for name in names:
            prefix = f"ansible_collections/{name.replace('.', '/')}/"
            mine = [member for member in members if member.startswith(prefix)]
            if not mine:
                print(f"{name} is not in {wheel}: take it out of the requirements or pin another wheel", file=sys.stderr)
                return 1
            archive.extractall(destination, mine)
            print(f"{name}: {len(mine)} files")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
