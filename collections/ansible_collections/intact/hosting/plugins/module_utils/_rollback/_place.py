# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Where a driver works: the root that is kept, commands, private mounts. And what every driver asks of file systems."""

from __future__ import annotations

import contextlib
import ctypes
import json
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

WORK = "/run/intact/rollback"
PREFIX = "intact-"
# What makes one system together: no part of it may stay behind while another goes back.
SYSTEM = ("/", "/etc", "/usr", "/var", "/var/lib", "/var/lib/dpkg", "/var/lib/rpm", "/lib", "/opt")
# File systems that hold data and are named in fstab.
REAL = frozenset("ext2 ext3 ext4 xfs btrfs f2fs jfs reiserfs zfs".split())
DATABASES = ("/var/lib/mysql", "/var/lib/postgresql")
EXCHANGE = 2
AT_FDCWD = -100
_LIBC = ctypes.CDLL(None, use_errno=True)


class Place:
    """root: the tree that goes back, / but in tests. run: as _command.run. work: a private directory for mounts."""

    def __init__(self, run=_command.run, root="/", work=WORK):
        self.run, self.root, self.work = run, root, work
        self._users = {}

    def path(self, path):
        """Where a path of the host lies."""
        return os.path.join(self.root, path.lstrip("/")) if self.root != "/" else path

    def text(self, path):
        """Text of a file of the host, "" when it is not there."""
        return (read_if_exists(self.path(path)) or b"").decode("utf-8", "replace")

    def mounts(self):
        """[{target source fstype fsroot uuid options}] of everything mounted at or below the root, targets as the host names them."""
        said = self.run(["findmnt", "--json", "--list", "--nofsroot", "-o", "TARGET,SOURCE,FSTYPE,FSROOT,UUID,OPTIONS"]).text
        out = {}
        for entry in json.loads(said)["filesystems"]:
            target = entry["target"]
            if self.root != "/":
                if target != self.root and not target.startswith(self.root + "/"):
                    continue
                target = target[len(self.root) :] or "/"
            # What was mounted last on a directory is what is seen there.
            out[target] = dict(entry, target=target)
        return [out[target] for target in sorted(out)]

    def mount_of(self, path):
        """The entry of mounts() that a path of the host lies on."""
        around = [m for m in self.mounts() if m["target"] == "/" or path == m["target"] or path.startswith(m["target"] + "/")]
        if not around:
            raise IntactError("nothing is mounted at %s" % self.root)
        return max(around, key=lambda m: len(m["target"]))

    @contextlib.contextmanager
    def mounted(self, source, name, fstype, options=()):
        """A private mount, 0700 above it; one that is there (in use, or left by a run that was killed) is used again."""
        target = os.path.join(self.work, name)
        os.makedirs(self.work, mode=0o700, exist_ok=True)
        os.chmod(self.work, 0o700)
        os.makedirs(target, mode=0o700, exist_ok=True)
        if not os.path.ismount(target):
            self.run(["mount", "-t", fstype] + (["-o", ",".join(options)] if options else []) + ["--", source, target])
        self._users[name] = self._users.get(name, 0) + 1
        try:
            yield target
        finally:
            self._users[name] -= 1
            if not self._users[name]:
                self.run(["umount", "--", target])
                os.rmdir(target)


def check_name(flight, longest=100):
    """intact-FLIGHT, or IntactError when nothing may be called that."""
    name = PREFIX + flight
    if not re.match(r"intact-[a-z0-9][a-z0-9._-]*\Z", name) or len(name) > longest:
        raise IntactError("a snapshot can't be called %s: at most %d of a-z 0-9 . _ -" % (name, longest))
    return name


def exchange(one, other):
    """Swap two names of one directory in one step. Raises OSError."""
    call = getattr(_LIBC, "renameat2", None)
    if call is None:
        raise OSError(38, os.strerror(38), one)
    if call(AT_FDCWD, os.fsencode(one), AT_FDCWD, os.fsencode(other), EXCHANGE):
        code = ctypes.get_errno()
        raise OSError(code, os.strerror(code), one)


def fstab(text):
    """[{source target fstype options}] of an fstab's text. Pure."""
    out = []
    for line in text.splitlines():
        words = line.split()
        if len(words) >= 4 and not words[0].startswith("#"):
            target = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), words[1])
            out.append({"source": words[0], "target": target.rstrip("/") or "/", "fstype": words[2], "options": words[3].split(",")})
    return out


def finding(name, severity, subject, title, evidence="", remedy="", **details):
    """A finding of PF35."""
    return Finding("rollback." + name, severity, subject, title, evidence=evidence, remedy=remedy, check="PF35", details=details)


def excluded(target, exclude):
    """Whether the operator said that what is mounted there stays as it is."""
    return any(target == entry.rstrip("/") or target.startswith(entry.rstrip("/") + "/") for entry in exclude if entry.rstrip("/"))


def left_behind(mounts, goes, exclude):
    """Findings for mounted file systems with data that do not go back. goes: targets that do. Pure."""
    found = []
    trees = [(m["source"], m["fsroot"].rstrip("/") + "/") for m in mounts if m["target"] in goes]
    # What is mounted once more from within a tree that goes back, goes with it.
    again = {m["target"] for m in mounts for source, top in trees if m["source"] == source and (m["fsroot"].rstrip("/") + "/").startswith(top)}
    for target in sorted(m["target"] for m in mounts if m["fstype"] in REAL and m["target"] not in goes | again):
        if target == "/boot" or target.startswith("/boot/"):
            continue
        if target in SYSTEM:
            remedy = "put it on the same volume group or subvolume as /, or decide for another driver (hook, restore)"
            found.append(finding("parted", "blocker", target, "a part of the system would stay the new one", "it is not in the snapshot", remedy))
        elif not excluded(target, exclude):
            remedy = "name it in distro_upgrade_rollback's exclude if its content is to stay as it is when the host goes back, or choose another driver"
            found.append(finding("undecided", "blocker", target, "this file system would not go back", "it is in no snapshot", remedy))
    for place in DATABASES:
        if excluded(place, exclude):
            found.append(
                finding(
                    "databases.left",
                    "warning",
                    place,
                    "databases stay what the upgrade made of them",
                    "an older server can't read files that a newer one has upgraded",
                    "let them go back too (what was written since is saved and named), or make sure that they keep their version",
                )
            )
    return found
