# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""An old server's disk, and a look at it, for the tests of the look."""

from __future__ import annotations

import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks import _look
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.look_images import (
    blank,
    copy,
    mounted,
    needs,
    run,
    write,
)
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.test_tables_and_volumes import partitioned

MB = 1 << 20
TABLE = "label: dos\nd1 : size=24MiB, type=83, bootable\nd2 : size=20MiB, type=5\nd5 : size=8MiB, type=82\nd6 : size=8MiB, type=83\n"


def look(*paths, **more):
    return _look.look(System(), [str(path) for path in paths], smart=False, **more)


def ids(told, subject=None):
    return sorted({f["id"] for f in told["findings"] if subject in (None, f["subject"])})


def copies(told, path):
    """What a device has in common with others of this test; loop devices of other tests may be beside it."""
    return [d for d in told["devices"][path].get("duplicates", ()) if d["of"] in told["devices"]]


@pytest.fixture(name="disk")
def fixture_disk(tmp_path):
    """An old server's disk: MBR with a root of ext3 that was never unmounted, swap and an ext2 in an extended partition."""
    needs("mkfs.ext3", "mkswap", "debugfs", "losetup", root=True)
    root = blank(tmp_path / "root", 24 * MB)
    run("mkfs.ext3", "-q", "-F", "-I", "128", "-L", "/", root)
    with mounted(root, tmp_path / "mnt") as place:
        os.makedirs(place + "/etc")
        for name, text in (("fstab", "LABEL=/ / ext3 defaults 1 1\nLABEL=sw swap swap defaults 0 0\n"), ("redhat-release", "CentOS release 5.2 (Final)\n")):
            with open("%s/etc/%s" % (place, name), "w") as handle:
                handle.write(text)
        run("sync", "-f", place)
        with open(place + "/unsynced", "w") as handle:
            handle.write("x")
            os.fsync(handle.fileno())
        crashed = copy(root, tmp_path / "crashed")
    path = partitioned(tmp_path / "disk", TABLE)
    swap, other = blank(tmp_path / "swap", 8 * MB), blank(tmp_path / "other", 8 * MB)
    run("mkswap", "-q", "-L", "sw", swap)
    run("mkfs.ext2", "-q", "-F", other)
    parts = {p["number"]: p for p in look(path)["devices"][path]["table"]["partitions"]}
    for number, content in ((1, crashed), (5, swap), (6, other)):
        with open(content, "rb") as handle:
            write(path, parts[number]["start"], handle.read())
    return path
