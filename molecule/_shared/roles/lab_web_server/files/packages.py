# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A vendor's repository, a held package, a package from nowhere, edited configuration files, a kernel setting."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile

import lab

KEY = "/etc/apt/keyrings/acme.asc"
HELD = "unzip"
LOCAL = """Package: hilltop-tools
Version: 2.3
Architecture: all
Maintainer: Administrator <root@web1.lab.test>
Section: local/admin
Priority: optional
Description: tools of a former administrator
 Built with dpkg-deb in 2016; its source is lost.
"""


def installed(name: str) -> bool:
    return lab.run("dpkg-query", "-W", "-f", "${db:Status-Status}", name, check=False) == "installed"


def vendor() -> None:
    if not os.path.exists(KEY):
        sys.exit(f"{KEY} is missing: the task before this one brings it from the vault")
    lab.place("etc/apt/sources.list.d/acme.sources")
    lab.place("etc/apt/preferences.d/acme")
    if not installed("acme-agent"):
        lab.run("apt-get", "-qq", "update")
        lab.run("env", "DEBIAN_FRONTEND=noninteractive", "apt-get", "-qq", "-y", "install", "acme-agent")
        lab.changed("acme-agent from the vendor")


def local_package() -> None:
    if installed("hilltop-tools"):
        return
    with tempfile.TemporaryDirectory() as work:
        build = f"{work}/hilltop-tools"
        os.makedirs(f"{build}/DEBIAN")
        os.makedirs(f"{build}/usr/local/bin")
        os.chmod(build, 0o755)
        lab.put(f"{build}/DEBIAN/control", LOCAL)
        lab.put(f"{build}/usr/local/bin/hilltop-stock", "#!/bin/sh\necho 'flour: 40 kg'\n", 0o755)
        for root, _names, files in os.walk(build):
            for name in [root, *(f"{root}/{file}" for file in files)]:
                os.utime(name, (lab.EPOCH, lab.EPOCH))
        lab.run("dpkg-deb", "--root-owner-group", "--build", build, f"{work}/hilltop-tools.deb")
        lab.run("dpkg", "--install", f"{work}/hilltop-tools.deb")
        shutil.rmtree(build)
    lab.changed("hilltop-tools from a file")


def main() -> None:
    if "without-vendor" not in sys.argv:
        vendor()
    local_package()
    if HELD not in lab.run("apt-mark", "showhold").split():
        lab.run("apt-mark", "hold", HELD)
        lab.changed(f"{HELD} held")
    lab.edit("/etc/logrotate.conf", ("\nrotate 4\n", "\nrotate 12\n"), ("\n#compress\n", "\ncompress\n"))
    lab.edit("/etc/crontab", ("25 6\t* * *", "25 1\t* * *"))
    lab.place("etc/sysctl.d/60-hosting.conf")


if __name__ == "__main__":
    main()
