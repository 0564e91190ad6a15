# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""legacy_volume as a playbook calls it."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.modules import legacy_volume
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._disks import attach_lab

pytestmark = attach_lab.needs()
lab = attach_lab.lab


def test_the_module_attaches_and_detaches_and_tells_the_truth_before(lab, call_module):
    image, files = lab.image("ext4")
    before, device = attach_lab.digest(image), lab.loop(image)
    given = {"device": device, "token": lab.token(device), "path": str(lab.old), "overlay_dir": str(lab.ov), "overlay_size": "32M", "prove": True}

    def call(**more):
        return call_module(legacy_volume.main, **dict(given, **more))

    told = call(check=True, diff=True)
    assert told["changed"] and told["diff"]["before"] == "" and told["diff"]["after"] == "ext4 at %s.volumes/disk\n" % lab.old
    assert lab.left() == []
    done = call(diff=True)
    assert done["changed"] and done["diff"] == told["diff"]
    lab.seen(done["mounts"][0]["target"], files)
    again = call(diff=True)
    assert not again["changed"] and again["diff"]["before"] == again["diff"]["after"] and again["mounts"] == done["mounts"]
    foretold = call(state="absent", check=True, diff=True)
    assert foretold["changed"] and foretold["diff"]["after"] == "" and os.path.ismount(done["mounts"][0]["target"])
    gone = call(state="absent", diff=True)
    assert gone["diff"] == foretold["diff"] and gone["sha256"] == {"before": before, "after": before} and gone["findings"] == []
    assert not call(state="absent")["changed"] and lab.left() == [] and attach_lab.digest(image) == before


def test_refusals_are_sentences(lab, call_module):
    image, _files = lab.image("ext4")
    device = lab.loop(image)
    given = {"device": device, "token": lab.token(device), "path": str(lab.old), "overlay_dir": str(lab.ov)}
    for more, said in (
        ({"token": "X-1/0123456789abcdef"}, "is another disk: expected serial X-1"),
        ({"device": "/dev/null"}, "is no block device"),
        ({"device": "/dev/no-such"}, "is not there"),
        ({"overlay_size": "much"}, "overlay_size is 'much'"),
        ({"path": "/etc"}, "path is /etc"),
        ({"overlay_dir": "/tmp/a b"}, "overlay_dir is /tmp/a b"),
    ):
        told = call_module(legacy_volume.main, **dict(given, **more))
        assert told["failed"] and said in told["msg"], told
    assert lab.left() == []
