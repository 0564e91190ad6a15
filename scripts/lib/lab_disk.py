# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A lab host's data disk: a sparse image in the machine's cache, attached to a loop device.

Loop devices belong to the machine, not to a checkout, and so do the images: the image's path is the only name that
losetup can be asked for after a restart of the machine.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

SIZE = "3G"
# The same on every copy: fstab of the seeded server says it. tree/ of lab_web_server holds the other end.
UUID = "5a1d0f0e-11ab-4c0d-9a57-1a7ac7da7a00"


class DiskError(Exception):
    """Something a person must see about a data disk, with what to do."""


def cache() -> Path:
    """Folder of the lab's seeded disk and the hosts' copies, shared by the checkouts of this machine."""
    return Path(os.environ.get("INTACT_LAB_CACHE") or "/var/cache/intact-lab")


def image_of(name: str) -> Path:
    if not name or "/" in name or name.startswith("."):
        raise DiskError(f"'{name}' is no name for a host's disk: give the container's name")
    return cache() / "disks" / f"{name}.img"


def run(*argv: str) -> str:
    try:
        done = subprocess.run(argv, capture_output=True, text=True, check=False)
    except OSError as exc:
        raise DiskError(f"cannot run {argv[0]}: {exc.strerror}") from exc
    if done.returncode:
        raise DiskError(f"{' '.join(argv)}: {done.stderr.strip() or done.returncode}")
    return done.stdout.strip()


def device_of(name: str) -> str:
    """Loop device of the host's image, empty when it is not attached."""
    image = image_of(name)
    if not image.exists():
        return ""
    lines = run("losetup", "-j", str(image)).splitlines()
    return lines[0].split(":")[0] if lines else ""


def attach(name: str, source: Path | None = None, device: str = "") -> str:
    """Make the image unless it is there and attach it; its loop device. Give `device` to get that very one back."""
    if os.geteuid():
        raise DiskError("attaching a loop device needs root: run this as root")
    image = image_of(name)
    image.parent.mkdir(parents=True, exist_ok=True)
    if not image.exists():
        fresh = image.with_suffix(".new")
        if source:
            run("cp", "--sparse=always", str(source), str(fresh))
        else:
            fresh.unlink(missing_ok=True)
            run("truncate", "-s", SIZE, str(fresh))
            run("mkfs.ext4", "-q", "-L", "home", "-U", UUID, str(fresh))
        fresh.rename(image)
    attached = device_of(name)
    if attached:
        if device and attached != device:
            raise DiskError(f"{image} is on {attached}, but the container expects {device}: run 'scripts/lab down' first")
        device = attached
    elif device:
        run("losetup", device, str(image))
    else:
        device = run("losetup", "--find", "--show", str(image))
    # the switch of whoever had this number before outlives his disk
    run("blockdev", "--setrw", device)
    return device


def detach(name: str) -> None:
    """Detach and delete the image; nothing happens when there is none."""
    device = device_of(name)
    if device:
        run("losetup", "--detach", device)
    image_of(name).unlink(missing_ok=True)
