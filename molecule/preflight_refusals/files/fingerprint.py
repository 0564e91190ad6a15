#!/usr/bin/env python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a refusal must not touch, as one line per tree: configuration, the package database, package lists, downloads."""

import hashlib
import os
import stat

TREES = ("/etc", "/var/lib/dpkg", "/var/lib/apt", "/var/cache/apt", "/usr/local", "/var/spool/cron", "/root")
# Locks are opened by whoever looks, and Ansible keeps its own files below /root.
PASSED = ("/root/.ansible",)


def main():
    """Print a digest of names, kinds, modes, owners, sizes, times and contents for each tree."""
    for tree in TREES:
        total = hashlib.sha256()
        for directory, names, files in os.walk(tree):
            names.sort()
            if directory in PASSED:
                names.clear()
                continue
            for name in sorted(files) + names:
                path = os.path.join(directory, name)
                info = os.lstat(path)
                words = "%s %o %d %d" % (path, info.st_mode, info.st_uid, info.st_gid)
                if not stat.S_ISDIR(info.st_mode):
                    words += " %d %d" % (info.st_size, info.st_mtime_ns)
                total.update(words.encode("utf-8", "surrogateescape") + b"\0")
                if stat.S_ISREG(info.st_mode):
                    with open(path, "rb") as handle:
                        total.update(hashlib.sha256(handle.read()).digest())
        print(tree, total.hexdigest())


if __name__ == "__main__":
    main()
