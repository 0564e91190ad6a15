# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""legacy_image as a playbook calls it."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.modules import legacy_image
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks import attach_lab

pytestmark = attach_lab.needs("ddrescue", "debugfs", "losetup", "mkfs.ext4")
lab = attach_lab.lab


def test_the_module_images_once_and_tells_the_truth_before(lab, call_module):
    image, _files = lab.image("ext4", dirty=False, size=8)
    device, copy = lab.loop(image), lab.directory / "copy.img"
    given = {"device": device, "token": lab.token(device), "image": str(copy)}
    told = call_module(legacy_image.main, check=True, **given)
    assert told["changed"] and not told["finished"] and not copy.exists()
    done = call_module(legacy_image.main, **given)
    assert done["changed"] and done["finished"] and done["damaged"] == [] and attach_lab.digest(copy) == attach_lab.digest(image)
    assert done["bytes"] == {"size": image.stat().st_size, "rescued": image.stat().st_size, "bad": 0}
    for check in (True, False):
        assert not call_module(legacy_image.main, check=check, **given)["changed"]


def test_refusals_are_sentences(lab, call_module):
    image, _files = lab.image("ext4", dirty=False, size=8)
    device = lab.loop(image)
    given = {"device": device, "token": lab.token(device), "image": str(lab.directory / "copy.img")}
    for more, said in (
        ({"token": "X-1/0123456789abcdef"}, "is another disk: expected serial X-1"),
        ({"device": "/dev/no-such"}, "is not there"),
        ({"image": "/dev/null"}, "no plain file"),
        ({"image": str(image)}, "nothing was overwritten"),
        ({"retries": 1000}, "retries is 1000"),
    ):
        told = call_module(legacy_image.main, **dict(given, **more))
        assert told["failed"] and (said in told["msg"]), told
