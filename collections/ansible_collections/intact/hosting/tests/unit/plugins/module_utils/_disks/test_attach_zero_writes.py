# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Attaching writes nothing, and shows what was durable: against images on writable loop devices, with `mount -o ro` as the control that fails."""

from __future__ import annotations

import os
import shutil

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._disks import _look, _overlay_dm
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks import attach_lab
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks.attach_lab import digest, run

pytestmark = attach_lab.needs()
lab = attach_lab.lab
KINDS = ("ext3", "ext4", "xfs", "btrfs")
# What a bare `mount -o ro` writes to (facts 4.1): everything with a journal to replay, and XFS always.
CONTROL = [(kind, True) for kind in KINDS] + [("xfs", False)]


def journal(device):
    """What a look says of the journal: a dirty image that is not dirty would prove nothing."""
    return _look.look(System(), [device], smart=False, describe=False)["devices"][device]["signature"]["journal"]


@pytest.mark.parametrize("dirty", [True, False], ids=["dirty", "clean"])
@pytest.mark.parametrize("kind", KINDS)
def test_not_a_byte_changes_and_nothing_durable_is_missing(lab, kind, dirty):
    image, files = lab.image(kind, dirty=dirty)
    before, device = digest(image), lab.loop(image)
    assert journal(device) == ("dirty" if dirty else "clean")
    told = lab.attachment(device, prove=True).present()
    assert told["changed"] and [m["type"] for m in told["mounts"]] == [kind] and told["sha256"]["before"] == before
    place = told["mounts"][0]["target"]
    lab.seen(place, files)
    assert {"ro", "nodev", "nosuid", "noexec"} <= attach_lab.options(place)
    assert run("blockdev", "--getro", device).strip() == "1"
    again = lab.attachment(device, prove=True).present()
    assert not again["changed"] and again["mounts"] == told["mounts"]
    gone = lab.attachment(device, prove=True).absent()
    assert gone["sha256"] == {"before": before, "after": before} and not gone["findings"]
    assert digest(image) == before
    assert lab.left() == [] and run("blockdev", "--getro", device).strip() == "0"
    assert not lab.attachment(device).absent()["changed"]


@pytest.mark.parametrize(("kind", "dirty"), CONTROL)
def test_the_control_mount_ro_changes_the_disk(lab, kind, dirty):
    image, files = lab.image(kind, dirty=dirty)
    before, device = digest(image), lab.loop(image)
    place = lab.mount(device, "ro", *(["nouuid"] if kind == "xfs" else []))
    lab.seen(place, files)
    lab.unmount(place)
    run("blockdev", "--flushbufs", device)
    assert digest(image) != before


@pytest.mark.parametrize("kind", KINDS)
def test_raw_shows_a_stale_state_and_says_so(lab, kind):
    image, files = lab.image(kind)
    before, device = digest(image), lab.loop(image)
    told = lab.attachment(device, mode="raw").present()
    shown = set(os.listdir(told["mounts"][0]["target"]))
    assert {name for name in files if name.startswith("new")} - shown
    assert [f["id"] for f in told["findings"]] == ["legacy.volume.stale"] and told["mounts"][0]["mode"] == "raw"
    assert not lab.attachment(device, mode="raw").present()["changed"]
    lab.attachment(device).absent()
    assert digest(image) == before and lab.left() == []


def test_from_raw_to_replay_the_disk_is_attached_anew(lab):
    image, files = lab.image("ext4")
    device = lab.loop(image)
    lab.attachment(device, mode="raw").present()
    told = lab.attachment(device).present()
    assert told["changed"]
    lab.seen(told["mounts"][0]["target"], files)
    lab.attachment(device).absent()
    assert lab.left() == []


@pytest.mark.skipif(not shutil.which("nbdkit") or not shutil.which("nbdfuse"), reason="nbdkit or nbdfuse is not installed")
@pytest.mark.parametrize("kind", ["ext4", "xfs"])
def test_the_same_through_nbdkit(lab, kind):
    image, files = lab.image(kind)
    before, device = digest(image), lab.loop(image)
    told = lab.attachment(device, driver="nbdkit").present()
    assert told["driver"] == "nbdkit"
    lab.seen(told["mounts"][0]["target"], files)
    assert not lab.attachment(device, driver="nbdkit").present()["changed"]
    lab.attachment(device).absent()
    assert digest(image) == before and lab.left() == []


@pytest.mark.skipif(bool(_overlay_dm.available("snapshot")), reason="the kernel has no device-mapper snapshots")
def test_the_same_through_device_mapper(lab):
    image, files = lab.image("ext4")
    before, device = digest(image), lab.loop(image)
    told = lab.attachment(device, driver="device-mapper").present()
    assert told["driver"] == "device-mapper"
    lab.seen(told["mounts"][0]["target"], files)
    lab.attachment(device).absent()
    assert digest(image) == before and lab.left() == []


@pytest.mark.parametrize("kind", ["xfs", "btrfs"])
def test_a_clone_of_a_mounted_filesystem_is_shown_beside_it(lab, kind):
    image, files = lab.image(kind, dirty=False)
    living = lab.directory / "living.img"
    run("cp", "--sparse=always", image, living)
    live = lab.mount(lab.loop(living))
    (live / "only-live").write_text("live")
    run("sync", "-f", live)
    before, device = digest(image), lab.loop(image)
    told = lab.attachment(device).present()
    lab.seen(told["mounts"][0]["target"], files)
    assert "only-live" not in os.listdir(told["mounts"][0]["target"])
    lab.attachment(device).absent()
    assert digest(image) == before and lab.left() == []
    (live / "still-live").write_text("yes")
    assert (live / "only-live").read_text() == "live"
