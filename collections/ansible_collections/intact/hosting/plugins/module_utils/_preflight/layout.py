# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Things of the file system's and the libraries' layout that the target release changes for good: /usr (PF19), 64-bit time (PF20)."""

from __future__ import annotations

import os
import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _apt, foreign

MERGED = ("bin", "sbin", "lib")
MORE = ("lib32", "lib64", "libo32", "libx32")
BLOCKING = ("dpkg-fsys-usrunmess",)
# What usrmerge itself removes from /.
IGNORED = ("/lib/udev/hwdb.bin",)
FLAG = "/etc/unsupported-skip-usrmerge-conversion"


def unmerged(host):
    """Which of /bin, /sbin, /lib, /lib64 ... are directories of their own."""
    out = []
    for name in MERGED + MORE:
        info = host.lstat("/" + name)
        if info is not None and stat.S_ISDIR(info.st_mode):
            out.append("/" + name)
    return out


def collisions(host, tops, most=20):
    """Paths that lie both in /X and in /usr/X, which usrmerge refuses to decide about; links from one place to the other are none."""
    found, waiting = [], list(tops)
    while waiting and len(found) < most:
        directory = waiting.pop()
        for name in host.listdir(directory):
            one = os.path.join(directory, name)
            left, right = host.lstat(one), host.lstat("/usr" + one)
            if left is None or right is None or one in IGNORED:
                continue
            if stat.S_ISDIR(left.st_mode) and stat.S_ISDIR(right.st_mode):
                waiting.append(one)
            elif not leads_over(one, host.readlink(one), host.readlink("/usr" + one)):
                found.append(one)
    return sorted(found)


def leads_over(path, link, other):
    """Whether a name that is in both places is one thing, by what its two links say (None: it is none). Pure."""
    here = os.path.dirname(path)
    if link is not None and other is not None:
        return link in (other, "/usr%s/%s" % (here, other), "/usr" + path) or other in ("%s/%s" % (here, link), path)
    return link == "/usr" + path or other == path


def merged_usr(context):
    """PF19: /usr is merged, or can be: the target release's packages lie in /usr only."""
    wanted = context.release_path.get("merged_usr")
    if not wanted:
        return []
    host, found = context.host, []
    tops = unmerged(host)
    for package in context.installed(*BLOCKING):
        remedy = "apt-get remove %s, then apt-get install usrmerge in a window, and run check-host again" % package
        found.append(Finding("usr.blocked", "blocker", package, "this package keeps /usr from being merged", str(wanted["reason"]), remedy))
    if not tops:
        return found
    if host.exists(FLAG):
        remedy = "remove it and apt-get install usrmerge in a window; a build root is made anew instead"
        found.append(Finding("usr.blocked", "blocker", FLAG, "this file keeps /usr from being merged", str(wanted["reason"]), remedy))
    mounts = [line.split() for line in host.text("/proc/mounts").splitlines() if len(line.split()) > 2]
    inside = sorted({words[1] for words in mounts if words[1].startswith(tuple(top + "/" for top in tops)) or words[1] in tops})
    if inside:
        remedy = "unmount it (and take it out of fstab) until /usr is merged; afterwards mount it below /usr"
        found.append(Finding("usr.mount", "blocker", ", ".join(inside), "a mount inside a directory that the merge moves", str(wanted["reason"]), remedy))
    twice = collisions(host, tops)
    if twice:
        remedy = "dpkg -S tells whose each is; remove the one that no package owns, or make both the same, then run check-host again"
        told = ", ".join(twice[:6]) + (" and more" if len(twice) > 6 else "")
        found.append(
            Finding(
                "usr.collision", "blocker", "%d files" % len(twice), "different files lie in both places of the merge", told, remedy, details={"paths": twice}
            )
        )
    root = next((words[2] for words in mounts if words[1] == "/"), "")
    if root == "overlay":
        remedy = "make the container anew from an image with a merged /usr (mmdebstrap: --hook-dir=/usr/share/mmdebstrap/hooks/merged-usr)"
        found.append(
            Finding("usr.overlay", "blocker", "/", "usrmerge refuses to merge on an overlay file system", "%s are directories" % ", ".join(tops), remedy)
        )
    if not found:
        late = bool(wanted.get("late"))
        evidence = "%s are directories of their own; %s" % (", ".join(tops), wanted["reason"])
        title = "/usr is not merged" + (", and the upgrade would merge it in the middle" if late else "")
        remedy = "apt-get install usrmerge, in a window and with a backup, then run check-host again"
        found.append(Finding("usr.unmerged", "warning" if late else "blocker", ", ".join(tops), title, evidence, remedy))
    return found


def parse_depends(text):
    """Names of the packages in a Depends field, all alternatives; [[names]] by group. Pure."""
    groups = []
    for group in text.split(","):
        names = [re.split(r"[\s(:\[]", part.strip(), maxsplit=1)[0] for part in group.split("|")]
        if any(names):
            groups.append([name for name in names if name])
    return groups


def renamed(context, suffix):
    """{old name: new name} of the libraries that the plan replaces by a package with this suffix (libssl3 by libssl3t64). Pure but for the plan."""
    gone = {entry["name"] for entry in context.planned("remove")}
    out = {}
    for entry in context.planned("install"):
        name = entry["name"]
        if name.endswith(suffix) and name[: -len(suffix)] in gone:
            out[name[: -len(suffix)]] = name
    return out


def time64(context):
    """PF20: no package from elsewhere needs a library by the name that it had before 64-bit time."""
    rule = context.release_path.get("renamed_libraries")
    names = renamed(context, str(rule["suffix"])) if rule else {}
    if not names:
        return []
    own = foreign.unknown(context)
    if not own:
        return []
    gone = {entry["name"] for entry in context.planned("remove")}
    provided, found = _provided(context, sorted(names.values())), []
    for package in own:
        shown = context.host.run(["dpkg-query", "-W", "-f", "${Pre-Depends}, ${Depends}\n", package], check=False)
        needs = sorted({group[0] for group in parse_depends(shown.text) if group and all(name in names for name in group)})
        broken = [name for name in needs if name not in provided.get(names[name], ())]
        if not broken and package not in gone:
            continue
        if not needs:
            continue
        evidence = "it needs %s, which is %s at the target; %s" % (", ".join(needs), ", ".join(names[name] for name in needs), rule["reason"])
        title = "this package needs libraries by names that go" + (", and would be removed" if package in gone else "")
        remedy = "rebuild it for %s, get it from its maker, or remove it before the upgrade" % context.target()
        found.append(Finding("libraries.time64", "warning", package, title, evidence, remedy, details={"needs": needs}))
    return found


def _provided(context, names):
    """{package: {names that its target version provides}}, as far as the plan's private lists tell."""
    config = (context.plan.get("apt") or {}).get("config") or ""
    if not config or not context.host.exists(config):
        config = _apt.private(context, "source")
    asked = context.host.run(["apt-cache", "-c", config, "show", "--no-all-versions"] + names, timeout=120, check=False)
    out = {}
    for block in asked.text.split("\n\n"):
        fields = dict(re.findall(r"^(Package|Provides): (.*)$", block, re.M))
        if fields.get("Package"):
            out.setdefault(fields["Package"], set()).update(group[0] for group in parse_depends(fields.get("Provides", "")))
    return out
