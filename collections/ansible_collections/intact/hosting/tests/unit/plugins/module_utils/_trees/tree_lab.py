# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real trees for the tests of copies: on ext4 on a loop device, with everything an inode can carry."""

from __future__ import annotations

import contextlib
import os
import shutil
import struct
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup._metadata import set_flags
from ansible_collections.intact.hosting.plugins.module_utils._trees import _compare, _copy, _manifest, _verify

CAPABILITY = struct.pack("<IIIII", 0x02000001, 0x400, 0, 0, 0)


def acl(*named):
    """A posix_acl value: rw for the owner, r for the rest, and the named users (tag, bits, id)."""
    entries = sorted([(1, 6, 2**32 - 1), (4, 4, 2**32 - 1), (16, 7, 2**32 - 1), (32, 4, 2**32 - 1), *named])
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def needs(*programs):
    """Skip without root or one of these programs."""
    if os.geteuid():
        pytest.skip("needs root")
    for program in programs:
        if shutil.which(program) is None:
            pytest.skip("needs %s" % program)


@contextlib.contextmanager
def mounted(place, size="96M", kind="ext4", options=()):
    """A fresh filesystem in a file; yields (mount point, image). Unmounted and gone at the end, also after a failure."""
    needs("mkfs." + kind, "mount", "losetup")
    place.mkdir(parents=True)
    image, top = place / "image", place / "mounted"
    top.mkdir()
    subprocess.run(["truncate", "-s", size, image], check=True)
    subprocess.run(["mkfs." + kind, *(() if kind == "vfat" else ("-q",)), *options, image], check=True, stdout=subprocess.DEVNULL)
    done = subprocess.run(["losetup", "--find", "--show", image], capture_output=True, text=True, check=False)
    if done.returncode:
        pytest.skip("no loop device here: %s" % done.stderr.strip())
    device = done.stdout.strip()
    try:
        # a loop device keeps the read-only mark of who had it before
        subprocess.run(["blockdev", "--setrw", device], check=True)
        subprocess.run(["mount", device, top], check=True)
        try:
            yield top, image
        finally:
            free(top)
            subprocess.run(["umount", top], check=True)
    finally:
        subprocess.run(["losetup", "--detach", device], check=True)


def free(top):
    """Take flags off everything, so that it can be removed."""
    subprocess.run(["chattr", "-R", "-f", "-ia", top], check=False, capture_output=True)


def rich(top):
    """A tree with one of everything. top: path that is there."""
    top = os.fsencode(top)
    os.makedirs(top + b"/home/alice/Maildir/cur")
    os.makedirs(top + b"/home/bob/www/empty")
    for number in range(30):
        with open(top + b"/home/alice/Maildir/cur/1700000%03d.M1:2,S" % number, "wb") as handle:
            handle.write(b"Subject: %d\n" % number * (number * 40))
    with open(top + b"/home/bob/www/index.php", "wb") as handle:
        handle.write(os.urandom(700_000))
    with open(top + b"/home/bob/plain", "wb") as handle:
        handle.write(b"12345678" * 100)
    with open(top + b"/home/bob/with-acl", "wb") as handle:
        handle.write(b"a")
    os.setxattr(top + b"/home/bob/with-acl", "system.posix_acl_access", acl((2, 5, 1001), (8, 6, 1002)))
    os.setxattr(top + b"/home/bob/www", "system.posix_acl_default", acl((2, 7, 1001)))
    os.setxattr(top + b"/home/bob/plain", "user.note", b"caf\xe9")
    os.setxattr(top + b"/home/bob", "user.note", b"directory")
    os.setxattr(top + b"/home/bob/www/index.php", "security.capability", CAPABILITY)
    os.link(top + b"/home/bob/plain", top + b"/home/alice/same-as-plain")
    os.link(top + b"/home/bob/plain", top + b"/home/bob/www/third")
    os.symlink(b"/etc/passwd", top + b"/home/bob/www/config")
    os.symlink(b"nowhere \xff\n", top + b"/home/bob/dangling")
    os.mkfifo(top + b"/home/bob/pipe", 0o620)
    with open(top + b"/home/bob/sparse", "wb") as handle:
        handle.truncate(30 << 20)
        handle.seek(9 << 20)
        handle.write(b"in the middle" * 500)
    for name in (b"caf\xe9 latin1", b"new\nline", b"n" * 255, b'quote " back\\slash \x01', "ümläut".encode(), b"\\x41", b".intact-mine"):
        with open(top + b"/home/alice/" + name, "wb") as handle:
            handle.write(name)
    for path, mode, uid, gid in (
        (b"/home/bob/plain", 0o4755, 1002, 1002),
        (b"/home/alice", 0o2750, 1001, 1001),
        (b"/home/bob", 0o711, 1002, 1002),
        (b"/home/bob/www", 0o1777, 1002, 33),
    ):
        os.chown(top + path, uid, gid)
        os.chmod(top + path, mode)
    os.setxattr(top + b"/home/bob/www", "system.posix_acl_default", acl((2, 7, 1001)))
    os.chown(top + b"/home/bob/dangling", 1002, 1002, follow_symlinks=False)
    for path in (b"/home/bob/plain", b"/home/bob/www/empty", b"/home/bob/www", b"/home/bob"):
        os.utime(top + path, ns=(1_200_000_000_123_456_789, 1_200_000_000_987_654_321))
    os.utime(top + b"/home/bob/dangling", ns=(1, 1_100_000_000_000_000_001), follow_symlinks=False)


def mark(path, words):
    """Set immutable or append on a file or directory."""
    fd = os.open(path, os.O_RDONLY)
    try:
        set_flags(fd, words)
    finally:
        os.close(fd)


def copy(source, target, place, **more):
    """Run a Copier with its state and manifest in place; its result with `ids_` of findings."""
    place.mkdir(exist_ok=True)
    given = {"state": str(place / "state"), "manifest": str(place / "manifest.gz"), **more}
    result = _copy.Copier(str(source), str(target), **given).run()
    result["told"] = sorted((f.id.split(".")[1], f.subject) for f in result["findings"])
    return result


def differences(manifest, target, ids=None):
    """What a fresh manifest of the target has otherwise: [(class, path, sorted attributes)], without what is equal."""
    after = str(manifest) + ".after"
    _manifest.Manifest(str(target), after).run()
    found = [(d["class"], d["path"], sorted(d["attributes"])) for d in _compare.compare(str(manifest), after, ids)]
    return sorted(found)


def rsync(source, target):
    """[(letters, subject)] of what rsync -aHAXnc finds different."""
    needs("rsync")
    return [(f.evidence, f.subject) for f in _verify.second_opinion(str(source), str(target))["findings"]]
