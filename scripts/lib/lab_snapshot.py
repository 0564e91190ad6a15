# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The seeded state of the lab: two images and a disk, keyed by a hash of all that makes them."""

from __future__ import annotations

import hashlib
import json
import subprocess
from pathlib import Path

import lab_disk

ROOT = Path(__file__).resolve().parents[2]
SHARED = ROOT / "molecule" / "_shared"
# Whatever changes the seeded state; the images' recipes count through their tags.
SOURCES = ("roles/lab_web_server", "roles/lab_vault", "lab-seed.yml")
HOSTS = ("web1", "vault")


def image_tags() -> dict[str, str]:
    """Tag of each recipe as lab-images would build it now."""
    out = subprocess.run([ROOT / "scripts" / "lab-images", "--list"], capture_output=True, text=True, check=True).stdout
    return json.loads(out)


def key(tags: dict[str, str] | None = None) -> str:
    """Twelve hex digits that change with the seeding role, its files and the images below."""
    tags = tags or image_tags()
    digest = hashlib.sha256("\n".join(tags[host] for host in HOSTS).encode())
    for source in SOURCES:
        path = SHARED / source
        files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
        for file in files:
            if file.name == "README.md" or {"__pycache__", "meta"} & set(file.parts):
                continue
            digest.update(str(file.relative_to(SHARED)).encode() + b"\0" + hashlib.sha256(file.read_bytes()).digest())
    return digest.hexdigest()[:12]


def seeded_tag(host: str, snapshot: str) -> str:
    return f"intact-lab/{host}-seeded:{snapshot}"


def disk_path(snapshot: str = "") -> Path:
    """Where the seeded data disk of web1 is stored."""
    return lab_disk.cache() / "seeded" / f"web1-{snapshot or key()}.img"


def exists(snapshot: str) -> bool:
    """Whether both images and the disk of this snapshot are on the machine."""
    if not disk_path(snapshot).is_file():
        return False
    return all(subprocess.run(["docker", "image", "inspect", seeded_tag(host, snapshot)], capture_output=True, check=False).returncode == 0 for host in HOSTS)
