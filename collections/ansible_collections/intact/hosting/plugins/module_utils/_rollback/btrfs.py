# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Driver btrfs: a writable snapshot of the root subvolume. Going back swaps two names, or changes the default subvolume: one step either way."""

from __future__ import annotations

import contextlib
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _grub
from ansible_collections.intact.hosting.plugins.module_utils._rollback._place import check_name, exchange, excluded, finding, fstab, left_behind

NAME = "btrfs"
FILLS = False
TOP = 5
LONGEST = 200


def _words(place, system_text):
    """Options by which / is mounted at boot: the kernel line's rootflags and fstab's. Pure but for the reads."""
    line = re.search(r"(?:^|\s)rootflags=(\S+)", system_text)
    words = line.group(1).split(",") if line else []
    for entry in fstab(place.text("/etc/fstab")):
        if entry["target"] == "/":
            words += entry["options"]
    return words


def mode(words):
    """(exchange | default, why neither) from the options by which / is mounted at boot. Pure."""
    if any(word.startswith("subvolid=") for word in words):
        return "", "/ is mounted by subvolid, a number that a snapshot can't take over"
    names = {word.partition("=")[2].strip("/") for word in words if word.startswith("subvol=")}
    if len(names) > 1:
        return "", "kernel line and fstab name different subvolumes for /: %s" % ", ".join(sorted(names))
    return ("exchange" if names - {""} else "default"), ""


def decide(place, flight, settings):
    """The facts that are remembered before anything is made. Raises IntactError when / is on no btrfs that can go back."""
    root = place.mount_of("/")
    if root["fstype"] != "btrfs":
        raise IntactError("/ is %s and not btrfs: choose another driver for the rollback" % root["fstype"])
    how, why = mode(_words(place, settings.get("cmdline") or place.text("/proc/cmdline")))
    if not how:
        raise IntactError("%s: name it by subvol= in fstab and the kernel line, or choose another driver" % why)
    subvolume = root["fsroot"].strip("/")
    if not subvolume:
        raise IntactError("/ is the top of its btrfs, which nothing can take the place of: choose another driver (hook, restore)")
    if how == "exchange" and "/" in subvolume:
        raise IntactError("the subvolume %s of / lies within another one: choose another driver" % subvolume)
    facts = {"driver": NAME, "mode": how, "device": root["source"], "uuid": root["uuid"], "subvolume": subvolume}
    return dict(facts, name=check_name(flight, LONGEST), grub=_grub.sectors(place) if how == "exchange" else [])


def check(place, settings):
    """Findings before take-off."""
    try:
        facts = decide(place, "check", settings)
    except IntactError as exc:
        return [finding("impossible", "blocker", "/", "this host can't go back by a btrfs snapshot", str(exc), "choose another driver, or none")]
    exclude, found = settings.get("exclude") or [], []
    boot = place.mount_of("/boot")
    if boot["target"] != "/":
        remedy = "choose lvm, hook or restore: a kernel in a file system of its own would not change with the snapshot in one step"
        found.append(finding("boot.apart", "blocker", "/boot", "/boot does not go back with the subvolume", "it is %s" % boot["source"], remedy))
    elif facts["mode"] == "default" and not settings.get("boot_follows_default"):
        why = "GRUB reads /boot by the subvolume's name, which stays; only some distributions (SUSE) let it follow the default subvolume"
        remedy = "mount / by subvol=NAME, or set boot_follows_default when the boot loader does follow it"
        found.append(finding("boot.by_name", "blocker", "/boot", "the boot loader would go on reading the upgraded /boot", why, remedy))
    elif facts["mode"] == "exchange":
        words = "GRUB finds /%s/boot by name, and so the old one after the swap; its own modules stay the newer ones until the old system installs it again"
        found.append(finding("boot.with_it", "info", "/boot", "/boot goes back with its subvolume", words % facts["subvolume"]))
    for path in nested(place):
        said = "it is an empty directory in the snapshot, and stays in the upgraded tree, which keeps the name %s" % facts["name"]
        if not os.listdir(place.path(path)):
            found.append(finding("nested.empty", "info", path, "an empty subvolume below / is not in the snapshot", said))
        elif excluded(path, exclude):
            found.append(finding("nested.left", "warning", path, "this subvolume will not be in its place after going back", said, "move it back by hand then"))
        else:
            remedy = "give it a name at the top of the file system and a line in fstab, or name it in exclude and move it back by hand"
            found.append(finding("nested", "blocker", path, "a subvolume below / is not in the snapshot", said, remedy))
    found += left_behind(place.mounts(), {"/"}, exclude)
    return found


def nested(place):
    """Paths on the host of subvolumes that lie below the root's."""
    own = place.mount_of("/")["fsroot"].strip("/")
    out = []
    for line in place.run(["btrfs", "subvolume", "list", "-o", place.root]).text.splitlines():
        path = line.partition(" path ")[2]
        if path.startswith(own + "/"):
            out.append("/" + path[len(own) + 1 :])
    return sorted(out)


@contextlib.contextmanager
def _top(place, facts):
    """The top of the file system, mounted privately."""
    with place.mounted(facts["device"], facts["name"], "btrfs", ["subvolid=%d" % TOP]) as top:
        yield top


def _identity(place, path):
    """{uuid parent id} of a subvolume, {} when there is none of this name."""
    if not os.path.isdir(path):
        return {}
    said = place.run(["btrfs", "subvolume", "show", path], check=False)
    if said.rc:
        return {}
    found = dict(re.findall(r"^\s*(UUID|Parent UUID|Subvolume ID):\s+(\S+)", said.text, re.M))
    return {"uuid": found.get("UUID", ""), "parent": found.get("Parent UUID", ""), "id": found.get("Subvolume ID", "")}


def _kept(place, facts, top):
    """(the snapshot's identity, the root's, which of the two is in the other's place: before | after | "")."""
    snapshot, root = _identity(place, os.path.join(top, facts["name"])), _identity(place, os.path.join(top, facts["subvolume"]))
    if facts["mode"] == "exchange":
        if snapshot and root and root["parent"] == snapshot["uuid"]:
            return snapshot, root, "after"
        return snapshot, root, "before" if snapshot and root and snapshot["parent"] == root["uuid"] else ""
    default = re.search(r"^ID (\d+)", place.run(["btrfs", "subvolume", "get-default", top]).text)
    if snapshot and root and snapshot["parent"] == root["uuid"]:
        return snapshot, root, "after" if default and default.group(1) == snapshot["id"] else "before"
    return snapshot, root, ""


def take(place, facts):
    """Make the snapshot. One of this name that is ours is made anew: nothing of the flight has changed the host yet."""
    with _top(place, facts) as top:
        path = os.path.join(top, facts["name"])
        snapshot, _root, where = _kept(place, facts, top)
        if os.path.lexists(path) and not (snapshot and where == "before"):
            raise IntactError("%s on %s is there already and is no snapshot of /: find out what it is, and rename it" % (facts["name"], facts["device"]))
        if snapshot:
            place.run(["btrfs", "subvolume", "delete", "--commit-after", path])
        place.run(["btrfs", "subvolume", "snapshot", os.path.join(top, facts["subvolume"]), path])
        place.run(["btrfs", "filesystem", "sync", top])


def state(place, facts):
    """{whole, why, back, percent, room}: whether the snapshot can be gone back to; back: it is what boots; room: bytes that can be written into it."""
    with _top(place, facts) as top:
        snapshot, _root, where = _kept(place, facts, top)
        free = os.statvfs(top)
    why = "" if where else "there is no subvolume %s" % facts["name"] if not snapshot else "%s is no snapshot of %s" % (facts["name"], facts["subvolume"])
    return {"whole": bool(where), "why": why, "back": where == "after", "percent": 0.0, "room": free.f_bavail * free.f_frsize}


def drop(place, facts):
    """Remove what has the snapshot's name: the snapshot, or after going back the upgraded tree. A foreign one is left alone."""
    with _top(place, facts) as top:
        snapshot, _root, where = _kept(place, facts, top)
        if not snapshot:
            return ""
        if not where or (facts["mode"] == "default" and where == "after"):
            raise IntactError("%s on %s is not what this flight made, or is in use: it was left alone" % (facts["name"], facts["device"]))
        place.run(["btrfs", "subvolume", "delete", "--commit-after", os.path.join(top, facts["name"])])
    return "snapshot %s removed" % facts["name"]


@contextlib.contextmanager
def opened(place, facts):
    """The snapshot's tree, writable. Raises when it is what boots already."""
    with _top(place, facts) as top:
        _snapshot, _root, where = _kept(place, facts, top)
        if where != "before":
            raise IntactError("%s is not there as a snapshot of / any more" % facts["name"])
        yield os.path.join(top, facts["name"])


def prepare(place, facts, tree):
    """Let GRUB, which stays the newer one on the disk, find modules of its own version beside the old configuration."""
    if facts["mode"] == "exchange":
        _grub.carry_modules(place, tree)


def boot_back(place, facts):
    """The one step: from here on the old system is what boots. Nothing happens when it is already."""
    with _top(place, facts) as top:
        snapshot, _root, where = _kept(place, facts, top)
        if where == "after":
            return
        if where != "before":
            raise IntactError("%s is not there as a snapshot of / any more" % facts["name"])
        place.run(["btrfs", "filesystem", "sync", top])
        if facts["mode"] == "exchange":
            try:
                exchange(os.path.join(top, facts["name"]), os.path.join(top, facts["subvolume"]))
            except OSError as exc:
                raise IntactError("the names of the two subvolumes can't be swapped (%s): the upgraded system stays" % exc.strerror) from exc
        else:
            place.run(["btrfs", "subvolume", "set-default", snapshot["id"], top])
        place.run(["btrfs", "filesystem", "sync", top])


def settle(place, facts, patience=0):
    """In the old system: its boot loader again. (sentences on what was done, ""); the upgraded tree stays until drop()."""
    if not state(place, facts)["back"]:
        raise IntactError("this is not the old system: %s was not swapped in" % facts["name"])
    done = _grub.settle(place, facts["grub"]) if facts["mode"] == "exchange" else []
    return done + ["the upgraded tree is kept as subvolume %s until it is dropped" % facts["name"]], ""
