# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a restore would do to this host, in which order, and what it would overwrite. Looks, changes nothing.

A plan is data: {id, repository, host, runs {class: {run, snapshot, taken, manifest}}, identity, steps [as in _restore_steps, with comes, same,
overwritten, newer, kept, extra]}; findings are told beside it.
"""

from __future__ import annotations

import fnmatch
import os

from ansible_collections.intact.hosting.plugins.module_utils._backup import _identity, _metadata, _restore_steps, _snapshots
from ansible_collections.intact.hosting.plugins.module_utils._backup._opened import is_below
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _descriptors, _sqlite, _tree
from ansible_collections.intact.hosting.plugins.module_utils._files import unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, parse_time

LESS = ("origin", "package")
# What of /etc belongs to a machine, to its release or to a tool that makes it again: nobody misses it on another one.
OF_THE_MACHINE = (
    "/etc/.pwd.lock /etc/passwd* /etc/shadow* /etc/group* /etc/gshadow* /etc/subuid* /etc/subgid* /etc/fstab /etc/mtab /etc/hostname /etc/machine-id"
    " /etc/resolv.conf /etc/ld.so.cache /etc/ssh/ssh_host_* /etc/apt/sources.list* /etc/apt/apt.conf.d/* /etc/intact/* /etc/systemd/system/intact-*"
    " /etc/systemd/system/*.wants/intact-* /etc/alternatives/* /etc/rc?.d/* /etc/ssl/certs/* /etc/ssl/private/ssl-cert-snakeoil.key /etc/dpkg/*"
    " /etc/php/*/conf.d/??-*.ini /etc/pam.d/common-* /etc/network/* /etc/netplan/* /etc/udev/* /etc/initramfs-tools/* /etc/grub.d/* /etc/default/grub"
    " /etc/crypttab /etc/lvm/* /etc/mdadm/* /etc/blkid.tab /etc/adjtime /etc/bind/rndc.key /etc/ca-certificates.conf /etc/fonts/conf.d/*"
).split()


def identity(backup, view):
    """Who is who on this host (see _identity.plan), from the accounts in the class system; {} without it."""
    if "system" not in backup.runs:
        return _identity.plan({}, _identity.read(view))
    run, texts = backup.runs["system"], {}
    for kind in _identity.FILES:
        if "/etc/" + kind in backup.files("system").get("items", {}):
            texts[kind] = backup.source.read(run.snapshot, "/etc/" + kind).decode("utf-8", "surrogateescape")
    used = [set(), set()]
    for name in backup.manifests:
        for item in backup.files(name).get("items", {}).values():
            used[0].add(item.get("uid", 0))
            used[1].add(item.get("gid", 0))
    return _identity.plan(texts, _identity.read(view), used[0], used[1])


def part_items(backup, part, ids):
    """Section files of a part of a class, as it has to look on this host."""
    return ids.data(backup.part(part))


def live(view, paths, excluded=None):
    """Section files of what is at these escaped paths on this host."""
    walker = _tree.Walker(view, excluded)
    for path in paths:
        raw = unescape(path)
        try:
            folder = _descriptors.open_directory(os.fsencode(view.realpath(os.fsdecode(os.path.dirname(raw)))), view.root)
        except (FileNotFoundError, NotADirectoryError):
            continue
        try:
            walker.entry(folder, os.path.basename(raw), raw)
        except FileNotFoundError:
            pass  # not there: it comes
        finally:
            os.close(folder)
    walker.finish()
    return {"items": walker.items, "owners": walker.owners, "groups": walker.groups}


def changes(wanted, now, made, view):
    """{comes, same, overwritten, newer, extra}: lists of escaped paths (extra and comes: numbers). made: when the manifest was made, in seconds."""
    out = {"comes": 0, "same": [], "overwritten": [], "newer": [], "extra": len(set(now) - set(wanted))}
    differing = {path for path in wanted if path in now and _less(wanted[path]) != _less(now[path])}
    # one name of a file that is replaced while another stays would be two files
    groups = {wanted[path]["hardlink"] for path in wanted if wanted[path].get("hardlink") and (path in differing or path not in now)}
    for path, item in sorted(wanted.items()):
        if path not in now:
            out["comes"] += 1
        elif path not in differing and item.get("hardlink") not in groups:
            out["same"].append(path)
        elif item["type"] == "dir" and now[path]["type"] == "dir":
            continue  # a directory is merged: only its owner and mode are set
        else:
            content = any(item.get(key) != now[path].get(key) for key in ("type", "hash", "target", "size"))
            state = view.lstat(os.fsdecode(unescape(path)))
            late = content and state is not None and state.st_mtime > made
            out["newer" if late else "overwritten"].append(path)
    return out


def _less(item):
    return {key: value for key, value in item.items() if key not in LESS}


def judge(backup, made, view, accept=(), keep=(), databases=None):
    """Fill every step's comes, same, overwritten, newer, kept, extra; findings for what would be lost. accept, keep: shell patterns for paths and databases.

    databases: a _live.Databases or the like. When a database was written to last nobody can tell: one that differs from the backup counts as newer.
    """
    found, ids = [], _metadata.Ids(made["identity"]["users"], made["identity"]["groups"])
    for step in made["steps"]:
        step.update(comes=0, same=0, overwritten=[], newer=[], kept=[], extra=0, packaged=0)
        step["streams"] = [stream for stream in step["streams"] if not stays(stream["name"], keep)]
        if step["kind"] == "rights":
            continue  # judged with the accounts
        for part in step["parts"]:
            wanted = part_items(backup, part, ids)
            told = changes(wanted["items"], live(view, part["paths"])["items"], taken(backup, part["class"]), view)
            step["comes"] += told["comes"]
            step["same"] += len(told["same"])
            step["extra"] += told["extra"]
            step["packaged"] += len(wanted["left"])
            _sort(step, told["overwritten"], told["newer"], accept, keep)
        for stream in step["streams"]:
            why = databases.lacking(stream["name"]) if databases else ""
            if why:
                found.append(_lacking(step, stream["name"], why))
                continue
            state, differing = databases.state(stream["name"], backup.manifests[stream["class"]]) if databases else ("absent", [])
            written = [path for path in late(backup, stream["name"], view) if state == "absent" and path not in step["newer"] + step["overwritten"]]
            if state == "differs" or written:
                # a stream is loaded whole: what is in it can be accepted one by one, and not be kept so
                differing = differing or written
                _sort(step, [], differing, [*accept, *differing] if named(stream["name"], accept) else accept, ())
            else:
                step["same" if state == "same" else "comes"] += 1
        if step["newer"]:
            found.append(_newer(step))
    return found


def taken(backup, name):
    """When a class's manifest was made, in seconds."""
    return parse_time(backup.manifests[name]["made"]).timestamp()


def late(backup, name, view):
    """[escaped path] of a stream that is a file here, when the file or its log was written to since the newest of the manifests; else []."""
    label, _colon, path = name.partition(":")
    if label != _sqlite.NAME:
        return []
    states = [view.lstat(os.fsdecode(unescape(path)) + ending) for ending in ("", "-wal")]
    newest = max(taken(backup, klass) for klass in backup.manifests)
    return [path] if states[0] and any(state and state.st_mtime > newest for state in states) else []


def stays(name, keep):
    """Whether the host's version of a stream stays: it is named itself, or by the path of the file that it is."""
    label, _colon, path = name.partition(":")
    return named(name, keep) or (label == _sqlite.NAME and named(path, keep))


def _sort(step, overwritten, newer, accept, keep):
    kept = [path for path in newer + overwritten if named(path, keep)]
    accepted = [path for path in newer if path not in kept and named(path, accept)]
    step["kept"] += kept
    step["overwritten"] += [path for path in overwritten if path not in kept] + accepted
    step["newer"] += [path for path in newer if path not in kept and path not in accepted]


def _newer(step):
    return Finding(
        id="restore.newer",
        severity="blocker",
        subject=step["name"],
        title="what is on the host is newer than the backup",
        evidence="%d: %s%s" % (len(step["newer"]), ", ".join(step["newer"][:5]), ", ..." if len(step["newer"]) > 5 else ""),
        remedy="name them in accept (the backup's version comes, the host's is kept aside) or in keep (the host's version stays); a fresh host: accept '*'",
        details={"change": "newer", "paths": step["newer"], "step": step["name"]},
    )


def _lacking(step, name, why):
    return Finding(
        id="restore.engine.missing",
        severity="blocker",
        subject="%s %s" % (step["name"], name),
        title="this host has nothing that the dump could be loaded into",
        evidence=why,
        remedy="install and start the database server, then start the restore again; nothing was changed",
        details={"change": "missing", "step": step["name"], "stream": name},
    )


def named(path, patterns):
    """Whether a path, or a database, is meant by one of these: itself, a directory above it, or a shell pattern."""
    return any(fnmatch.fnmatchcase(path, pattern) or is_below(path, pattern.rstrip("/")) for pattern in patterns)


def left(backup, made, view):
    """The warning about what the administrator had written in /etc, that no step brings and that is not on this host as it was; [] when there is nothing."""
    items = backup.files("system").get("items", {})
    brought = {part["from"].get(path, path) for step in made["steps"] for part in step["parts"] for path in part["paths"] if part["class"] == "system"}
    told = []
    for path, item in items.items():
        if item["type"] == "dir" or not path.startswith("/etc/") or item.get("origin") not in ("local", "conffile-edited") or named(path, OF_THE_MACHINE):
            continue
        above = path
        while above not in brought and above != "/":
            above = os.path.dirname(above)
        if above == "/" and _less(live(view, [path])["items"].get(path, {})) != _less(item):
            told.append(path)
    quotas = [
        subject for subject in backup.manifests.get("system", {}).get("sections", {}).get("accounts", {}).get("items", {}) if subject.startswith("quota ")
    ]
    if not told and not quotas:
        return []
    return [
        Finding(
            id="restore.left",
            severity="warning",
            subject="/etc",
            title="what the administrator had set in /etc stays in the backup",
            evidence="%d: %s%s%s"
            % (len(told), ", ".join(told[:8]), ", ..." if len(told) > 8 else "", "; quotas of %d accounts" % len(quotas) if quotas else ""),
            remedy="name in system_paths, or at a site, what this host needs as it was, and set quotas by /var/lib/intact/backup/system/quota in the snapshot",
            details={"change": "left", "paths": told, "quotas": quotas},
        )
    ]


def brings(made):
    """Whether a plan changes anything."""
    people = any(step["kind"] == "accounts" for step in made["steps"]) and _identity.changes(made["identity"])
    return people or any(step["comes"] or step["overwritten"] for step in made["steps"])


def plan(name, backup, view, sites=(), select=None, system_paths=_restore_steps.SYSTEM_PATHS, accept=(), keep=(), databases=None):
    """(plan, findings)."""
    made = {
        "id": name,
        "repository": backup.source.name,
        "host": backup.host,
        "runs": {
            c: {"run": r.run, "snapshot": r.snapshot, "taken": _snapshots.moment(r.taken).strftime("%Y-%m-%dT%H:%M:%SZ"), "manifest": backup.digests[c]}
            for c, r in backup.runs.items()
        },
        "identity": identity(backup, view),
        "steps": _restore_steps.steps(backup, sites, select, system_paths),
    }
    found = judge(backup, made, view, accept, keep, databases)
    everything = any(step["kind"] == "accounts" for step in made["steps"])
    if not everything:
        return made, found + _nameless(backup, made)
    return made, found + _unknown(backup, [path for path in system_paths if path not in _restore_steps.SYSTEM_PATHS]) + left(backup, made, view)


def _unknown(backup, patterns):
    """A warning for each path that the operator wants of the class system and that the backup does not have."""
    return [
        Finding(
            id="restore.path.unknown",
            severity="warning",
            subject=pattern,
            title="the backup's class system has nothing there",
            remedy="correct system_paths; what another class holds comes with that class",
            details={"change": "missing"},
        )
        for pattern in patterns
        if not backup.matching("system", pattern)
    ]


def _nameless(backup, made):
    """The warning that a part of a host comes whose owners have no account here; [] when all have one."""
    rows = {int(row.split(":")[2]): row.split(":")[0] for row in made["identity"]["rows"]["passwd"]}
    ids = _metadata.Ids(made["identity"]["users"], made["identity"]["groups"])
    owners = {item.get("uid") for step in made["steps"] for part in step["parts"] for item in part_items(backup, part, ids)["items"].values()}
    names = sorted(name for number, name in rows.items() if number in owners)
    if not names:
        return []
    return [
        Finding(
            id="restore.account.missing",
            severity="warning",
            subject=" ".join(names[:5]),
            title="their files come, and they have no account on this host",
            evidence=", ".join(names),
            remedy="make the accounts with these names first, or restore everything",
            details={"change": "missing", "accounts": names},
        )
    ]
