#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Show a legacy disk's filesystems without writing a byte to it, and take them away again."""

from __future__ import annotations

DOCUMENTATION = r"""
module: legacy_volume
short_description: Show a legacy disk's filesystems without writing a byte to it
version_added: 0.1.0
description:
  - Makes the disk and its partitions read-only, puts a copy-on-write overlay of bounded size on top, replays the journals and checks the filesystems I(there),
    and mounts them C(ro,nodev,nosuid,noexec). A bare C(mount -o ro) would write to the disk, and C(norecovery) would hide files that were durable.
  - Nothing is assembled, activated, swapped on or resumed. Linear logical volumes and halves of RAID1 are reached by their place on the disk.
  - The old root is mounted at O(path), other volumes below it as the old C(/etc/fstab) says, what it does not name in O(path) with C(.volumes) added.
  - What is true is what is mounted. A run that was killed is made whole by the next O(state=present) and taken away by O(state=absent).
  - Each call must present the disk's token, and refuses another disk.
  - Needs root, losetup, and for the overlay device-mapper's snapshots, or qemu-storage-daemon with qemu-img, or nbdkit with nbdfuse.
author:
  - Intact contributors (@intact-project)
extends_documentation_fragment:
  - intact.hosting.info.findings
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: partial
    details: Where a volume would be mounted depends on the old fstab, which is not read then; RV(mounts) has all volumes beside O(path).
  diff_mode:
    description: Tells what is mounted before and after.
    support: full
  idempotent:
    description: Run twice, the second run does not change anything.
    support: full
options:
  device:
    description: The whole disk, such as C(/dev/sdb), or an image of one. With O(state=absent) it may be gone.
    type: path
    required: true
  token:
    description: The disk's token as M(intact.hosting.block_device_info) gave it.
    type: str
    required: true
  state:
    description: Whether its filesystems are shown.
    type: str
    choices: [present, absent]
    default: present
  mode:
    description:
      - V(replay) replays journals on the overlay, so that everything is seen that was durable.
      - V(raw) mounts the disk itself without its journals. It is for evidence, knowingly stale, and a finding says so.
    type: str
    choices: [replay, raw]
    default: replay
  path:
    description: Where the old root is mounted. Choose a directory in one of mode 0700, as the old owners' numbers belong to other people here.
    type: path
    required: true
  overlay_dir:
    description: Where overlays and what is known of attachments are kept.
    type: path
    default: /var/lib/intact/overlays
  overlay_size:
    description: How large the overlay may become. So much must be free. Replayed journals need a few MiB, repairs more.
    type: str
    default: 4G
  driver:
    description: Which overlay. V(auto) is the first of them that this host can do.
    type: str
    choices: [auto, device-mapper, qemu-storage-daemon, nbdkit]
    default: auto
  luks_key_file:
    description: File on the host with the key of encrypted volumes, all its bytes counting.
    type: path
    default: ''
  check:
    description: Check each filesystem in full after the replay, on the overlay. Takes long on large disks.
    type: bool
    default: true
  root:
    description: Name of the volume with the old root, for a disk with several, as the refusal names them.
    type: str
    default: ''
  accept_older:
    description: Show the half of a mirror although another disk of this host has the newer one.
    type: bool
    default: false
  prove:
    description:
      - Take the sha256 of the whole disk before it is attached and after it was detached; a difference is a blocker among RV(findings).
      - Give it both times. It reads the whole disk each time.
    type: bool
    default: false
seealso:
  - module: intact.hosting.block_device_info
"""

EXAMPLES = r"""
- name: Show the old disk
  intact.hosting.legacy_volume:
    device: /dev/sdb
    token: 9QG0XYZ1/0f3c1a2b4d5e6f70
    path: /var/lib/intact/legacy/old
    prove: true
  register: old

- name: Take it away and prove that nothing was written
  intact.hosting.legacy_volume:
    device: /dev/sdb
    token: 9QG0XYZ1/0f3c1a2b4d5e6f70
    path: /var/lib/intact/legacy/old
    state: absent
    prove: true
"""

RETURN = r"""
root:
  description: Where the old system's C(/) is. Empty when the disk holds no root, and with O(state=absent).
  returned: success
  type: str
  sample: /var/lib/intact/legacy/old
mounts:
  description: What is mounted, in the order of mounting. Empty with O(state=absent).
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The volume's name., type: str, returned: always, sample: part1}
    of: {description: The volume as the disk has it., type: str, returned: always, sample: /dev/sdb1}
    source: {description: What the kernel has mounted., type: str, returned: always, sample: /dev/loop4}
    target: {description: Where., type: str, returned: always, sample: /var/lib/intact/legacy/old}
    type: {description: The filesystem's type; V(fuse) when a program reads it., type: str, returned: always, sample: ext3}
    mode: {description: V(replay) or V(raw)., type: str, returned: always, sample: replay}
device: {description: The disk., returned: success, type: str, sample: /dev/sdb}
token: {description: Its token., returned: success, type: str, sample: 9QG0XYZ1/0f3c1a2b4d5e6f70}
driver: {description: The overlay's driver., returned: success, type: str, sample: device-mapper}
sha256:
  description: Digests of the whole disk, C(before) and C(after), as far as they were taken.
  returned: success
  type: dict
  sample: {before: 9f86d081884c7d65}
left:
  description: What was there of the attachment.
  returned: when O(state=absent)
  type: list
  elements: str
  sample: [mount /var/lib/intact/legacy/old, loop device /dev/loop4]
findings:
  description: Volumes that could not be shown, stale or repaired ones, and whether the disk changed.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import os

from ansible.module_utils.basic import AnsibleModule
from ansible.module_utils.common.text.formatters import human_to_bytes

from ansible_collections.intact.hosting.plugins.module_utils._disks import _attach
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

SPEC = {
    "device": {"type": "path", "required": True},
    "token": {"type": "str", "required": True, "no_log": False},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
    "mode": {"type": "str", "choices": ["replay", "raw"], "default": "replay"},
    "path": {"type": "path", "required": True},
    "overlay_dir": {"type": "path", "default": "/var/lib/intact/overlays"},
    "overlay_size": {"type": "str", "default": "4G"},
    "driver": {"type": "str", "choices": ["auto", "device-mapper", "qemu-storage-daemon", "nbdkit"], "default": "auto"},
    "luks_key_file": {"type": "path", "default": "", "no_log": False},
    "check": {"type": "bool", "default": True},
    "root": {"type": "str", "default": ""},
    "accept_older": {"type": "bool", "default": False},
    "prove": {"type": "bool", "default": False},
}


def main():
    """Attach or detach, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = dict(module.params)
    state = params.pop("state")
    if os.geteuid() != 0:
        module.fail_json(msg="legacy_volume needs root to mount: run it with become")
    try:
        params["overlay_size"] = human_to_bytes(params["overlay_size"])
    except ValueError as exc:
        module.fail_json(msg="overlay_size is %r: give bytes or a number with K, M, G or T (%s)" % (params["overlay_size"], exc))
    try:
        attachment = _attach.Attachment(_attach.Settings(**params), step=lambda name: module.debug("legacy_volume: %s" % name))
        attachment.state.load()
        before = attachment.lines()
        result = getattr(attachment, state)(module.check_mode)
        after = attachment.lines()
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="%s: %s; run it as root, and again when that is put right" % (exc.filename or params["device"], exc.strerror or exc))
    if module._diff:
        if module.check_mode and result["changed"]:
            after = ["%s at %s" % (mount["type"], mount["target"]) for mount in result["mounts"]]
        result["diff"] = {"before": "".join(line + "\n" for line in before), "after": "".join(line + "\n" for line in after)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
