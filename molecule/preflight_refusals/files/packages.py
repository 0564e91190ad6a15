#!/usr/bin/env python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Build the three packages that the refusals need: packages.py DIRECTORY."""

import os
import subprocess
import sys

PACKAGES = {
    # changes the package set, and nothing else
    "lab-newcomer": ("", ""),
    # carries a protected name, and needs a library version that the target release no longer has
    "webmin": ("Depends: libssl3 (<< 3.1)\n", ""),
    # its configuration fails, so that it stays half-configured
    "lab-broken": ("", "#!/bin/sh\nexit 1\n"),
}


def main():
    """Write one .deb for each entry."""
    for name, (extra, postinst) in PACKAGES.items():
        root = os.path.join(sys.argv[1], name)
        os.makedirs(os.path.join(root, "DEBIAN"), exist_ok=True)
        with open(os.path.join(root, "DEBIAN", "control"), "w", encoding="utf-8") as control:
            control.write(
                "Package: %s\nVersion: 1.0\nArchitecture: all\nMaintainer: Lab <lab@example.com>\n%sDescription: a package of the lab\n" % (name, extra)
            )
        if postinst:
            path = os.path.join(root, "DEBIAN", "postinst")
            with open(path, "w", encoding="utf-8") as script:
                script.write(postinst)
            os.chmod(path, 0o755)
        subprocess.run(["dpkg-deb", "--build", "--root-owner-group", root, os.path.join(sys.argv[1], name + ".deb")], check=True, stdout=subprocess.DEVNULL)


if __name__ == "__main__":
    main()
