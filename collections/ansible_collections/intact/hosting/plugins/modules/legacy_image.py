#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Make an image of a failing legacy disk, and name the files that are damaged."""

from __future__ import annotations

DOCUMENTATION = r"""
module: legacy_image
short_description: Image a failing legacy disk and name the files that are damaged
version_added: 0.1.0
description:
  - Makes the disk read-only and copies it with GNU ddrescue into a sparse file of mode 0600 (0400 when it is whole). What reads well comes first,
    bad places are tried again at the end.
  - A run that was killed is continued by the next one, from ddrescue's map. An image that is whole is not made again, and the disk is not asked for then.
  - Bad areas are told as files of ext2, ext3 and ext4, by debugfs on the image. Of other filesystems and of volumes in several pieces only the ranges are
    told, and a blocker says so. Journals are not replayed for that.
  - M(intact.hosting.legacy_volume) takes the image as its device, with the token of the disk.
  - Never writes to a block device. Needs root, the packages gddrescue and e2fsprogs, and room for the whole disk.
author:
  - Intact contributors (@intact-project)
extends_documentation_fragment:
  - intact.hosting.info.findings
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Will return details on what has changed or possibly needs changing in check_mode, when in diff mode.
    support: none
  idempotent:
    description: Run twice, the second run does not change anything.
    support: full
options:
  device:
    description: The whole disk, such as C(/dev/sdb). May be gone when the image is whole.
    type: path
    required: true
  token:
    description: The disk's token as M(intact.hosting.block_device_info) gave it. The image must have the same table or content.
    type: str
    required: true
  image:
    description:
      - File to make, in a directory that is root's alone. An existing one is continued when it is of the same disk, else refused.
      - Beside it are C(.map) (ddrescue's), C(.json) (state and progress, to be read while it runs), C(.damaged.json) (all damaged files and areas), C(.log).
    type: path
    required: true
  retries:
    description: How often bad places are read again after everything else. A higher number than the last time continues a whole image that has bad places.
    type: int
    default: 3
seealso:
  - module: intact.hosting.block_device_info
  - module: intact.hosting.legacy_volume
"""

EXAMPLES = r"""
- name: Image the dying disk
  intact.hosting.legacy_image:
    device: /dev/sdb
    token: 9QG0XYZ1/0f3c1a2b4d5e6f70
    image: /srv/images/web1.img
  register: copied

- name: Show what the image holds
  intact.hosting.legacy_volume:
    device: "{{ copied.image }}"
    token: 9QG0XYZ1/0f3c1a2b4d5e6f70
    path: /var/lib/intact/legacy/old
"""

RETURN = r"""
image: {description: The image., returned: success, type: str, sample: /srv/images/web1.img}
mapfile: {description: The map that ddrescue keeps., returned: success, type: str, sample: /srv/images/web1.img.map}
token:
  description: The disk's token. M(intact.hosting.legacy_volume) takes it for the image too.
  returned: success
  type: str
  sample: 9QG0XYZ1/0f3c1a2b4d5e6f70
bytes:
  description: Bytes of the disk (C(size)), read (C(rescued)) and unreadable (C(bad)), counted in the map.
  returned: success
  type: dict
  sample: {size: 250059350016, rescued: 250059345920, bad: 4096}
areas: {description: Number of bad areas., returned: success, type: int, sample: 1}
damaged:
  description: The first 500 damaged files and directories.
  returned: success
  type: list
  elements: dict
  contains:
    volume: {description: The volume's name., type: str, returned: always, sample: part1}
    path: {description: "The file in that volume, escaped. Empty where no name leads to it.", type: str, returned: always, sample: /home/a/mail.mbox}
    inode: {description: Its number., type: int, returned: always, sample: 12}
    type: {description: What it is., type: str, returned: always, sample: regular}
    bytes: {description: Bytes of its blocks that are hit., type: int, returned: always, sample: 4096}
finished: {description: Whether all of the disk was tried., returned: success, type: bool, sample: true}
findings:
  description: Damaged files, directories and metadata (blockers), bad areas of no file (info), areas about which nobody can tell (blockers).
  returned: success
  type: list
  elements: dict
  sample: []
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._disks import _image
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

SPEC = {
    "device": {"type": "path", "required": True},
    "token": {"type": "str", "required": True, "no_log": False},
    "image": {"type": "path", "required": True},
    "retries": {"type": "int", "default": 3},
}


def main():
    """Image, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    if os.geteuid() != 0:
        module.fail_json(msg="legacy_image needs root to read the disk: run it with become")
    if not 0 <= params["retries"] <= 100:
        module.fail_json(msg="retries is %d: give a number from 0 to 100, each reads all bad places once more" % params["retries"])
    try:
        result = _image.Imaging(_image.Settings(**params)).run(module.check_mode)
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="%s: %s; run it again when that is put right, it goes on" % (exc.filename or params["device"], exc.strerror or exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
