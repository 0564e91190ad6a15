# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Verification reads what the device holds: bytes damaged below the page cache are found, where a look through the cache finds nothing."""

from __future__ import annotations

import os
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._trees import _verify
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._trees import tree_lab as lab

MARK = b"bytes that only this file has, once"


def damage(image, mark):
    """Change a byte in the image, below the filesystem that is mounted from it."""
    with open(image, "r+b") as handle:
        data = handle.read()
        at = data.index(mark)
        handle.seek(at + 3)
        handle.write(b"#")
        handle.flush()
        os.fsync(handle.fileno())


def drop_device_cache(top):
    """The loop device's own pages: a disk has none."""
    device = subprocess.run(["findmnt", "-no", "SOURCE", top], capture_output=True, text=True, check=True).stdout.strip()
    subprocess.run(["blockdev", "--flushbufs", device], check=True)


@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_damage_below_the_page_cache_is_found(tmp_path, kind):
    lab.needs("rsync", "findmnt", "blockdev")
    source = tmp_path / "source"
    source.mkdir()
    for number in range(5):
        (source / str(number)).write_bytes(os.urandom(20_000))
    (source / "victim").write_bytes(b"." * 5000 + MARK + b"." * 5000)
    with lab.mounted(tmp_path / "disk", "340M" if kind == "xfs" else "48M", kind) as (top, image):
        lab.copy(source, top / "t", tmp_path / "place")
        manifest = tmp_path / "place/manifest.gz"
        assert _verify.verify(top / "t", manifest)["findings"] == []
        # everything is in memory again, and the disk is damaged
        assert lab.rsync(source, top / "t") == []
        os.sync()
        damage(image, MARK)
        drop_device_cache(top)
        assert lab.rsync(source, top / "t") == [], "the control saw it: this test would prove nothing"
        findings = _verify.verify(top / "t", manifest)["findings"]
        assert [(f.id, f.severity, f.subject) for f in findings] == [("tree_verify.difference", "blocker", str(top / "t/victim"))]
        assert findings[0].details["class"] == "changed"


def test_nothing_to_compare_is_an_error(tmp_path):
    with pytest.raises(IntactError, match="no manifest of a tree"):
        (tmp_path / "m.gz").write_bytes(b"")
        _verify.verify(tmp_path, tmp_path / "m.gz")
