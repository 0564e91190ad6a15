# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The data disk: /home by UUID in fstab, and the lab's stand-in for udev."""

from __future__ import annotations

import os
import sys

import lab

# Set by the lab when it makes the file system, so that each copy of the disk is found.
UUID = "5a1d0f0e-11ab-4c0d-9a57-1a7ac7da7a00"
FSTAB = f"""# /etc/fstab: static file system information.
# <file system>                           <mount point> <type> <options>              <dump> <pass>
UUID={UUID} /home         ext4   defaults,acl,user_xattr 0      2
"""


def main() -> None:
    lab.put("/etc/fstab", FSTAB)
    lab.place("usr/local/lib/intact-lab/data-disk", 0o755)
    if lab.place("etc/systemd/system/lab-data-disk.service"):
        lab.run("systemctl", "daemon-reload")
    lab.service("lab-data-disk.service")
    if not os.path.ismount("/home"):
        sys.exit("/home is not a mount point: the lab gave this container no data disk (docker run --device)")


if __name__ == "__main__":
    main()
