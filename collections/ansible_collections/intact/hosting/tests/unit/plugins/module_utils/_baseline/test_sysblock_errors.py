# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A driver that answers an attribute with an error: a SCSI disk without page 83 does so for wwid."""

from __future__ import annotations

import errno

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _sysblock


class Disk:
    """What QEMU's scsi-hd without a WWN shows under /sys/class/block/sda."""

    def read(self, path):
        if path.endswith("wwid"):
            raise OSError(errno.EINVAL, "Invalid argument")
        return b"\0\x80\0\x06OLDLVM" if path.endswith("vpd_pg80") else None

    def realpath(self, path):
        return path

    def text(self, path):
        return (self.read(path) or b"").decode()

    def exists(self, path):
        return False


def test_an_attribute_that_can_not_be_read_is_none():
    assert _sysblock.wwn(Disk(), "/sys/class/block/sda", {}) == ""
    assert _sysblock.serial(Disk(), "/sys/class/block/sda", {}) == "OLDLVM"
