# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Class system: /etc, crontabs, and as text what no file holds: package selections, accounts as the host sees them, quotas, the disks' layout."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._backup import _eyes
from ansible_collections.intact.hosting.plugins.module_utils._baseline import accounts, cron, packages
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NAME = "system"
GENERATED = "/var/lib/intact/backup/system"
TREES = ("/etc", "/var/spool/cron", "/var/lib/systemd/linger", "/var/lib/ucf", GENERATED)
# The key that the baseline digests passwords with: without it a restored host's digests can't be held against the earlier ones.
FILES = ("/var/lib/intact/baseline.key",)
EXPECTED = "files"

# file: (program, arguments, what it is). A program that is not there leaves no file.
COMMANDS = {
    "packages-selections": (["dpkg", "--get-selections", "*"], "packages and their selection"),
    "packages-manual": (["apt-mark", "showmanual"], "packages that somebody asked for"),
    "packages-held": (["apt-mark", "showhold"], "packages that are held back"),
    "packages-versions": (["dpkg-query", "-W", "-f", "${Package} ${Architecture} ${Version} ${db:Status-Abbrev}\\n"], "packages and their versions"),
    "debconf-selections": (["debconf-get-selections"], "answers given to packages"),
    "passwd": (["getent", "passwd"], "users as the host sees them, other sources than /etc/passwd included"),
    "group": (["getent", "group"], "groups as the host sees them"),
    "quota": (["repquota", "-a", "-n", "-v"], "quotas by number of the user"),
    "quota-groups": (["repquota", "-a", "-n", "-v", "-g"], "quotas by number of the group"),
    "blkid": (["blkid", "-o", "export"], "file systems and their identities"),
    "lsblk.json": (
        ["lsblk", "-J", "-b", "-o", "NAME,KNAME,TYPE,SIZE,FSTYPE,LABEL,UUID,PARTUUID,PARTTYPE,PARTLABEL,SERIAL,WWN,MODEL,MOUNTPOINT"],
        "disks and what lies on them",
    ),
    "findmnt.json": (["findmnt", "-J", "--real"], "what is mounted"),
    "lvm": (["vgs", "--reportformat", "json", "-o", "+vg_uuid"], "volume groups"),
    "lvm-volumes": (["lvs", "--reportformat", "json", "-a", "-o", "+devices"], "logical volumes"),
    "mdadm": (["mdadm", "--detail", "--scan"], "software RAID"),
    "units": (["systemctl", "list-unit-files", "--no-pager", "--no-legend", "--plain"], "what starts at boot"),
}


def in_use(system):
    """Every host has a system."""
    return True


def generated(system):
    """{file name: bytes} of everything that is told as text. What can't be told is named in system.unlooked."""
    out = {}
    for name, (argv, what) in COMMANDS.items():
        if not system.which(argv[0]):
            continue
        try:
            result = system.run(argv, check=False)
        except IntactError as exc:
            system.skip(name, "%s: %s" % (what, exc))
            continue
        if result.rc == 0 or result.out:
            out[name] = result.out
    if system.which("sfdisk"):
        for disk in _disks(system):
            result = system.run(["sfdisk", "-d", disk], check=False)
            if result.rc == 0 and result.out:
                out["sfdisk-" + os.path.basename(disk)] = result.out
    return out


def _disks(system):
    if not system.which("lsblk"):
        return []
    result = system.run(["lsblk", "-d", "-n", "-p", "-o", "NAME,TYPE"], check=False)
    rows = (line.split() for line in result.text.splitlines())
    return [row[0] for row in rows if len(row) == 2 and row[1] == "disk"]


def prepare(system, write):
    """Make the text before the look, and the key that the look would make: restic is given what is there now.

    write(directory, {name: bytes}) replaces the directory's content.
    """
    for path in FILES:
        system.secret(path)
    write(GENERATED, generated(system))


def paths(system, options):
    """/etc, crontabs, the generated text, and what the operator adds."""
    trees = list(options.get("paths") or TREES) + list(options.get("more_paths") or [])
    return _eyes.there(system, trees + [path for path in FILES if system.exists(path)])


def excluded(options):
    """What the operator leaves out; of /etc nothing is left out by itself."""
    return list(options.get("exclude") or [])


def sections(system, options):
    """Files with where each comes from, accounts, packages, cron jobs."""
    return {
        "files": _eyes.tree(system, paths(system, options), options.get("rules", excluded(options)), options.get("cache")),
        "accounts": _eyes.look(system, accounts),
        "packages": _eyes.look(system, packages),
        "cron": _eyes.look(system, cron),
    }


def counts(sections):
    """Files, users, groups, packages, cron jobs."""
    out = _eyes.count_files(sections.get("files", {}))
    people = sections.get("accounts", {}).get("items", {})
    out["users"] = sum(subject.startswith("user ") for subject in people)
    out["groups"] = sum(subject.startswith("group ") for subject in people)
    out["packages"] = len(sections.get("packages", {}).get("items", {}))
    out["cron jobs"] = len(sections.get("cron", {}).get("items", {}))
    return out


def objects(sections):
    """{directory of /etc: files below it}."""
    return _eyes.files_below(sections.get("files", {}), depth=3)
