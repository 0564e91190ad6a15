#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell everything about block devices that can be known without writing to them, and what old systems are on them."""

from __future__ import annotations

DOCUMENTATION = r"""
module: block_device_info
short_description: Tell what is on block devices without touching them
version_added: 0.1.0
description:
  - Reads C(/sys/class/block) and the devices' own bytes, so it works without udev, lsblk and blkid. Nothing is activated, assembled, mounted or replayed.
  - Tells serial, WWN, model, SMART verdict, partition table, filesystems with the state of their journals, LVM, RAID superblocks, LUKS, swap, and names that
    collide with those of other disks, in use or not.
  - Gives each whole disk a token of its serial and its table, which later steps must present.
  - Needs root. SMART is asked through smartctl, unmounted roots of ext through debugfs, both only where they are installed.
extends_documentation_fragment:
  - intact.hosting.info
  - intact.hosting.info.findings
options:
  paths:
    description:
      - Block devices or image files to tell of, with the disk that they are on and the partitions on them. Empty means all block devices.
      - All block devices are read in any case, to find names that collide.
    type: list
    elements: path
    default: []
  roots:
    description: Mounted roots of old systems to describe. Roots on the devices that are looked at are described without being named here.
    type: list
    elements: path
    default: []
  smart:
    description: Ask the disks for their health. A sleeping disk is not woken.
    type: bool
    default: true
seealso:
  - module: intact.hosting.legacy_volume
author:
  - Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Which disks are there, and which of them is the old one
  intact.hosting.block_device_info:
  register: disks

- name: One disk and what is on it
  intact.hosting.block_device_info:
    paths: [/dev/sdb]
  register: old

- name: What the system on a mounted old root was
  intact.hosting.block_device_info:
    paths: [/dev/sdb]
    roots: [/mnt/old]
  register: old
"""

RETURN = r"""
devices:
  description:
    - The devices by path. What says nothing is absent. A partition that the kernel does not know has the path of its disk with C(#) and its number.
    - An entry has among others C(kind), C(parent), C(serial), C(wwn), C(model), C(size) in bytes, C(smart), C(table), C(signature), C(lvm), C(md),
      C(luks), C(inside) (what a RAID1 member holds), C(mounted), C(in_use), C(duplicates) and C(token).
  returned: success
  type: dict
  sample:
    /dev/sdb:
      kind: disk
      serial: 9QG0XYZ1
      size: 250059350016
      token: 9QG0XYZ1/0f3c1a2b4d5e6f70
    /dev/sdb1:
      kind: partition
      parent: /dev/sdb
      signature: {type: ext3, uuid: 5a1d0f0e-11ab-4c0d-9a57-1a7ac7da7a00, label: /, journal: dirty}
roots:
  description:
    - Old systems, each with C(distribution), C(hostname), C(fstab), and when it is mounted C(accounts), C(panel), C(web), C(databases), C(mail), C(lists),
      C(jobs) and C(packages). C(device) or C(root) says where it is, C(said) what could not be read.
  returned: success
  type: list
  elements: dict
  sample: [{device: /dev/sdb1, distribution: {id: centos, version: '5.2'}, hostname: www.example.com}]
findings:
  description: What is wrong or dangerous, such as a failing disk, a dirty journal, an older half of a mirror, a UUID that two disks have.
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._disks import _look, _oldsystem
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

SPEC = {
    "paths": {"type": "list", "elements": "path", "default": []},
    "roots": {"type": "list", "elements": "path", "default": []},
    "smart": {"type": "bool", "default": True},
}


def main():
    """Look, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    try:
        told = _look.look(System(), params["paths"] or None, smart=params["smart"])
        known = {root.get("root") for root in told["roots"]}
        described = (_oldsystem.describe(root) for root in params["roots"])
        told["roots"] += [root for root in described if root["root"] not in known]
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="%s can't be read: %s; run it as root" % (exc.filename or "a device", exc.strerror))
    module.exit_json(changed=False, **told)


if __name__ == "__main__":
    main()
