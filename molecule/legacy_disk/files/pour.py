#!/usr/bin/env python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Pours the old server onto a disk, as it lay there when the power went: pour.py CONTAINER DISK, on the controller, as root.

DISK is the name scripts/data-disk knows. The disk gets an MBR, an ext3 /, swap and an ext4 /home; what `docker export` cannot carry (ACLs, holes, names and
links that a customer planted) is made on it; then its image is copied while it is mounted, right after an fsync: both journals are dirty, and the container's
device holds that copy.
"""

from __future__ import annotations

import contextlib
import os
import stat
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[3] / "scripts" / "lib"))
import lab_disk

MIB = 1 << 20
# start and size in MiB, what sfdisk calls its type
PARTS = {"root": (1, 2300, "83"), "swap": (2301, 64, "82"), "home": (2365, 600, "83")}
LEFT_OUT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "var/cache/apt", "proc", "sys", "dev", "run", "tmp")


def sh(*argv: str, **more: object) -> str:
    return subprocess.run(argv, check=True, stdout=subprocess.PIPE, text=True, **more).stdout.strip()


@contextlib.contextmanager
def attached(image: Path, name: str):
    start, size, _kind = PARTS[name]
    device = sh("losetup", "--find", "--show", "--offset", str(start * MIB), "--sizelimit", str(size * MIB), str(image))
    sh("blockdev", "--setrw", device)
    try:
        yield device
    finally:
        sh("losetup", "--detach", device)
        # a detach that somebody's open device or mount holds up is only promised: what writes there would write under the copy that comes next
        until = time.monotonic() + 60
        while Path(f"/sys/block/{Path(device).name}/loop/backing_file").exists():
            if time.monotonic() > until:
                sys.exit(f"pour.py: {device} is still held by somebody after 60 s: another mount namespace? The disk would be written to behind our back")
            time.sleep(0.2)


@contextlib.contextmanager
def mounted(device: str, place: Path):
    sh("mount", device, str(place))
    try:
        yield
    finally:
        sh("umount", str(place))


def customers(root: Path) -> None:
    """What years leave behind, and what a hostile customer does."""
    home = root / "home" / "alice"
    # by its own programs: this machine may have none
    there = ("chroot", str(root))
    sh(*there, "setfacl", "-R", "-m", "u:1001:rX,g:1500:rX,u:33:rX", "/home/alice/public_html")
    sh(*there, "setfacl", "-d", "-m", "u:1001:rwx,g:1500:r-x", "/home/alice/public_html")
    os.setxattr(home / "public_html/index.html", "user.origin", b"bakery")
    os.link(home / "public_html/index.html", home / "linked-index.html")
    with open(home / "sparse.img", "wb") as out:
        out.seek(50 * MIB)
        out.write(b"the end of a hole")
    for name in (b"caf\xe9.txt", b"line\nbreak", b"-rf", b"x" * 255):
        (Path(os.fsdecode(os.fsencode(home) + b"/" + name))).write_text("odd\n")
    deep = home / "deep"
    for number in range(40):
        deep = deep / f"level-{number}"
    deep.mkdir(parents=True)
    (deep / "bottom").write_text("bottom\n")
    os.mkfifo(home / "pipe", 0o600)
    (home / "to-shadow").symlink_to("/etc/shadow")
    (home / "to-root").symlink_to("/")
    (root / "home/bob/escape").symlink_to("../../../../etc")
    sh("chown", "-hR", "1000:1000", str(home))
    (home / "orphan").write_text("whose?\n")
    os.chown(home / "orphan", 5555, 5556)
    os.utime(home / "sparse.img", ns=(1_199_145_600_123_456_789, 1_199_145_600_123_456_789))
    tool = root / "home/bob/bin/ping"
    tool.parent.mkdir()
    tool.write_bytes(b"\x7fELF not really")
    os.chown(tool.parent, 1001, 1001)
    os.chown(tool, 1001, 1001)
    tool.chmod(0o755)
    sh(*there, "setcap", "cap_net_raw+ep", "/home/bob/bin/ping")
    setuid = root / "home/bob/bin/become"
    setuid.write_bytes(b"#!/bin/sh\n")
    os.chown(setuid, 1001, 1001)
    setuid.chmod(0o755 | stat.S_ISUID)


def durable(path: Path, text: str) -> None:
    with open(path, "w", encoding="utf-8") as out:
        out.write(text)
        out.flush()
        os.fsync(out.fileno())
    folder = os.open(path.parent, os.O_RDONLY)
    os.fsync(folder)
    os.close(folder)


def main(container: str, disk: str) -> int:
    image, device = lab_disk.image_of(disk), lab_disk.device_of(disk)
    crash = image.with_suffix(".crash")
    script = "label: dos\nlabel-id: 0x2008cafe\n" + "".join(f"start={start * 2048}, size={size * 2048}, type={kind}\n" for start, size, kind in PARTS.values())
    sh("sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(image), input=script)
    place = Path("/run/intact-lab-pour")
    place.mkdir(exist_ok=True)
    with attached(image, "swap") as swap:
        sh("mkswap", "-q", swap)
    with attached(image, "root") as root, attached(image, "home") as home:
        sh("mkfs.ext3", "-q", "-L", "oldroot", root)
        sh("mkfs.ext4", "-q", "-L", "oldhome", home)
        with mounted(root, place):
            (place / "home").mkdir()
            with mounted(home, place / "home"):
                export = subprocess.Popen(["docker", "export", container], stdout=subprocess.PIPE)
                sh("tar", "-x", "--numeric-owner", "-p", "-C", str(place), *[f"--exclude={path}/*" for path in LEFT_OUT], stdin=export.stdout)
                if export.wait():
                    sys.exit("pour.py: docker export failed")
                customers(place)
                (place / "etc/fstab").write_text(
                    "LABEL=oldroot / ext3 errors=remount-ro 0 1\n/dev/sda2 none swap sw 0 0\n/dev/sda3 /home ext4 defaults,usrquota 0 2\n"
                )
                # what the container engine put there, not the server
                (place / "etc/hostname").write_text("old1\n")
                (place / "etc/hosts").write_text("127.0.0.1 localhost\n192.0.2.1 old1.lab.test old1\n")
                (place / ".dockerenv").unlink(missing_ok=True)
                os.sync()
                for number in range(200):
                    durable(place / "home/carol" / f"told-stored-{number}", f"stored {number}\n" * 50)
                    durable(place / "var/log" / f"told-stored-{number}", f"stored {number}\n" * 50)
                sh("cp", "--sparse=always", str(image), str(crash))
    # in place: a device that is detached for a moment may be somebody else's the next
    sh("fallocate", "--punch-hole", "--offset", "0", "--length", str(image.stat().st_size), str(image))
    sh("dd", f"if={crash}", f"of={image}", "bs=1M", "conv=notrunc,sparse", "status=none")
    crash.unlink()
    sh("blockdev", "--flushbufs", device)
    print(device)
    return 0


if __name__ == "__main__":
    if "INTACT_OWN_MOUNTS" not in os.environ:
        # a container or test that begins meanwhile would take our mounts along into its namespace, and write there when ours are long gone
        os.environ["INTACT_OWN_MOUNTS"] = "yes"
        os.execvp("unshare", ["unshare", "--mount", "--propagation", "private", sys.executable, *sys.argv])
    sys.exit(main(*sys.argv[1:3]))
