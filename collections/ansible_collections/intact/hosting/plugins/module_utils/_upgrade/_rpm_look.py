# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Look at an upgrade of an RPM distribution before it: the plan from the target's repositories. Changes nothing but its own state."""

from __future__ import annotations

import hashlib
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils import _binding, _command, _conffiles, _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import (
    _dnf,
    _look,
    _plan,
    _rpm_heal,
    _rpm_host,
    _rpm_says,
    _rpm_sources,
    _space,
    _zypper,
)

MANAGERS = {"dnf": _dnf.Dnf, "zypper": _zypper.Zypper}
SIZES = r"%{NAME}\t%{ARCH}\t%{SIGSIZE}\t%{SIZE}\n"
FILES = r"[%{=NAME}\t%{FILESIZES}\t%{FILENAMES}\n]"
CONFIG = r"[%{=NAME}\t%{FILEFLAGS}\t%{FILEDIGESTS}\t%{FILENAMES}\n]"
# rpm's file flags.
IS_CONFIG, NOREPLACE, GHOST = 1, 1 << 4, 1 << 6


def run(argv, timeout=600, check=True):
    """Run a command as the stages do (see _command.run)."""
    return _command.run(argv, timeout=timeout, check=check, env=_rpm_host.ENVIRONMENT)


def configs(text):
    """{path: (package, digest, noreplace)} of the configuration files in rpm's answer to CONFIG. Pure."""
    out = {}
    for line in text.splitlines():
        parts = line.split("\t", 3)
        if len(parts) == 4 and parts[1].isdigit() and int(parts[1]) & IS_CONFIG and not int(parts[1]) & GHOST and parts[2]:
            out[parts[3]] = (parts[0], parts[2], bool(int(parts[1]) & NOREPLACE))
    return out


def digest(path, like):
    """Hex digest of a file by the algorithm whose length another digest has; None when it is not there."""
    data = read_if_exists(path)
    if data is None:
        return None
    return hashlib.new({32: "md5", 40: "sha1", 96: "sha384", 128: "sha512"}.get(len(like), "sha256"), data).hexdigest()


def conffile(path, old, disk, new, looked, decision):
    """One entry of the plan's conffiles. Pure. old, new: (package, digest, noreplace); new None: no longer in it. disk: digest now, None when deleted."""
    package, recorded, _kept = old
    if not looked:
        target, question, why = "unknown", None, "the new package was not downloaded"
    elif new is None:
        target, question, why = "gone", False, "the new package does not bring it: the local file stays as .rpmsave"
    elif new[1] == recorded:
        target, question, why = "same", False, "the package's form did not change: the local file stays"
    elif disk is None or disk == new[1]:
        target, question, why = "changed", False, "the package's form is put there"
    else:
        why = (
            "both sides changed; the package's comes beside it as .rpmnew"
            if new[2]
            else "both sides changed; the package's takes its place, the local one becomes .rpmsave"
        )
        target, question = "changed", True
    named = {"path": path, "package": package, "kind": "config(noreplace)" if old[2] else "config", "local": "deleted" if disk is None else "edited"}
    return dict(named, target=target, question=bool(question), unknown=question is None, decision=decision, why=why)


def _conffiles_of(full, there, decide):
    """The plan's conffiles. there: name-version-release.arch -> path of the downloaded packages."""
    targets = {e["name"]: there.get(_rpm_says.nevra({"name": e["name"], "version": e["to"], "arch": e["arch"]})) for e in full["upgrade"]}
    for old, newcomer in full["obsoletes"].items():
        entry = next((e for e in full["install"] + full["upgrade"] if e["name"] == newcomer), None)
        targets[old] = there.get(_rpm_says.nevra({"name": newcomer, "version": entry["to"], "arch": entry["arch"]})) if entry else None
    out, read = [], {}
    for path, old in sorted(configs(run(["rpm", "-qa", "--qf", CONFIG]).text).items()):
        if old[0] not in targets:
            continue
        disk = digest(path, old[1])
        if disk == old[1]:
            continue
        package = targets[old[0]]
        if package and package not in read:
            read[package] = configs(run(["rpm", "-qp", "--nosignature", "--qf", CONFIG, package]).text)
        out.append(conffile(path, old, disk, read[package].get(path) if package else None, bool(package), decide(path)))
    return out


def archive_sizes(directory):
    """{(name, arch): (bytes of the archive, bytes installed)} of the packages below a directory, by what they say themselves."""
    out, paths = {}, sorted(_rpm_heal.archives(directory).values())
    for start in range(0, len(paths), 400):
        words = ["rpm", "-qp", "--nosignature", "--qf", SIZES] + paths[start : start + 400]
        for line in run(words, timeout=900, check=False).text.splitlines():
            parts = line.split("\t")
            if len(parts) == 4 and parts[2].isdigit() and parts[3].isdigit():
                out[parts[0], parts[1]] = (int(parts[2]), int(parts[3]))
    return out


def _space_needed(full, packages, sizes, root, facts):
    """Numbers per mount (see _space.spread) with free and total bytes, and bytes to download."""
    points, files, changes = _look.mounts(), {}, []
    moving = {e["name"] for e in full["upgrade"] + full["remove"]}
    for line in run(["rpm", "-qa", "--qf", FILES], timeout=900).text.splitlines():
        name, size, path = (line.split("\t", 2) + ["", ""])[:3]
        if name in moving and size.isdigit() and path:
            files.setdefault(name, []).append((path, int(size)))
    known = {name: _space.shares(entries, points) for name, entries in files.items()}
    old = {(e["name"], e["arch"]): e["bytes"] for e in packages}
    for entry in full["upgrade"] + full["install"]:
        key = entry["name"], entry["arch"]
        before = old.get(key, 0)
        # Where the manager does not tell a package's size, the old one is the guess and the sum comes below.
        changes.append({"name": entry["name"], "old": before if "from" in entry else 0, "new": sizes[key][1] if key in sizes else before})
    missing = sum(pair[0] for pair in sizes.values()) or facts.get("download", 0)
    if facts.get("growth", 0) > 0:
        changes.append({"name": "", "old": 0, "new": facts["growth"]})
    # Kept once before, and once more where it must be healed.
    database = run(["rpm", "-E", "%{_dbpath}"]).text.strip()
    extra = [("backups", "/var/lib/intact", _look.tree_size("/etc") + 2 * _look.tree_size(database))]
    kernels = [e for e in full["install"] if re.match(r"kernel(-core|-default)?$", e["name"])]
    if kernels and os.path.isdir("/boot"):
        initrds = [os.path.getsize("/boot/" + n) for n in os.listdir("/boot") if n.startswith(("initramfs", "initrd"))]
        extra.append(("initrd", "/boot", int(1.5 * max(initrds or [60 * 1000 * 1000])) * len(kernels)))
    out = _space.spread(changes, points, known, [(root, missing)], extra)
    for mount, numbers in out.items():
        status = os.statvfs(mount)
        numbers.update(free=status.f_bavail * status.f_frsize, total=status.f_blocks * status.f_frsize)
    return out, missing


def _blocker(name, subject, title, evidence, remedy, **details):
    return Finding(name, "blocker", subject, title, evidence, remedy, details=details)


def running_kernel(remove, running):
    """The entry of a removal that would take the running kernel away, or None. Pure. running: what uname -r says, VERSION-RELEASE.ARCH."""
    return next((e for e in remove if e["name"].startswith("kernel") and running in ("%s.%s" % (e["from"].split(":", 1)[-1], e["arch"]), e["from"])), None)


def look(path, root, source_map=(), protected=(), conffiles=(), default="", target_files=(), download="auto", engine="dnf"):
    """(plan or None, [Finding]): see _look.look."""
    findings, target = [], path["target"]
    if _dnf.too_far(path):
        return None, [_blocker("plan.hop", path["name"], "the target is too far away", _dnf.too_far(path), "go by a release in between")]
    manager = MANAGERS[engine](os.path.join(root, engine), target["version"], run)
    try:
        texts, changes = _rpm_sources.staged(manager.directory, path["source"]["version"], target["version"], path.get("repositories") or [], source_map)
    except IntactError as exc:
        remedy = "say in distro_upgrade_source_map what becomes of it: rename it, disable it or keep it"
        return None, [_blocker("plan.source.literal", manager.directory, "a repository is tied to today's release", str(exc), remedy)]
    _rpm_sources.write(texts, manager.repos)
    os.makedirs(manager.cache, mode=0o700, exist_ok=True)
    said = manager.refresh()
    if said:
        remedy = "repair the mirror, or name the repository in distro_upgrade_source_map (rename, disable or keep)"
        title = "not every repository answers for %s %s" % (target["id"], target["version"])
        return None, [_blocker("plan.source.unreachable", "%s %s" % (target["id"], target["version"]), title, "; ".join(said), remedy, said=said)]
    packages = _rpm_says.installed(run(["rpm", "-qa", "--qf", _rpm_says.QUERY]).text)
    try:
        patch = manager.transaction("look-patch", packages)
        full = manager.transaction("simulate", packages)
    except IntactError as exc:
        remedy = "repair the packages that it names (duplicates, versionlocks, third-party packages), then look again"
        return None, [_blocker("plan.impossible", path["name"], "%s sees no way to the target release" % manager.name, str(exc), remedy)]
    kernel = running_kernel(full["remove"], os.uname().release)
    if kernel:
        evidence = "%s-%s is running" % (kernel["name"], kernel["from"])
        findings.append(
            _blocker(
                "plan.kernel.running", kernel["name"], "the running kernel would be removed", evidence, "boot the newest installed kernel, then look again"
            )
        )
    sizes = manager.sizes(full["upgrade"] + full["install"])
    disk, missing = _space_needed(full, packages, sizes, manager.cache, getattr(manager, "facts", {}))
    if download == "true" or (download == "auto" and missing <= _look.FETCH_LIMIT):
        done = run(manager.words("download"), timeout=7200, check=False)
        if not manager.good(done.rc, done.text):
            said = _rpm_says.problems(done.text + done.err.decode("utf-8", "replace"))
            findings.append(
                _blocker(
                    "plan.source.unreachable", manager.name, "the packages cannot be downloaded", "; ".join(said[:5]), "repair the mirror, then look again"
                )
            )
    told = {} if sizes else archive_sizes(manager.cache)
    if told:
        # Where each package's files lie is known only now; the sums could name no file system.
        disk, missing = _space_needed(full, packages, told, manager.cache, {})

    def decide(name):
        return _conffiles.decision(name, conffiles, default, target_files)[0]

    entries = _conffiles_of(full, _rpm_heal.archives(manager.cache), decide)
    plan = build(path, changes, patch, full, conffiles=entries, disk=disk, missing=missing, protected=protected)
    return plan, findings + judge(plan, full)


def build(path, changes, patch, full, conffiles, disk, missing, protected):
    """The plan (see _plan.build). What packages obsolete, and an older kernel that makes room, is expected: they say so themselves."""
    own = [{"package": old, "replacement": new, "reason": "%s says that it takes its place" % new} for old, new in sorted(full["obsoletes"].items())]
    arriving = {e["name"] for e in full["install"]}
    own += [{"package": e["name"], "replacement": e["name"], "reason": "an older version makes room"} for e in full["remove"] if e["name"] in arriving]
    expected = dict(path, expected_removals=own + list(path.get("expected_removals") or []))
    held = [{"name": name, "version": ""} for name in locks()]
    facts = {"conffiles": conffiles, "disk": disk, "download_bytes": missing, "protected": protected, "replacements": [], "held": held, "kept": []}
    facts.update(packages_hash=_binding.packages_digest(System()), made=_flight.now(), apt={})
    return _plan.build(expected, changes, patch, _rpm_says.empty(), full, [], **facts)


def locks():
    """What dnf's versionlock and zypper's locks hold, as they are written there."""
    out = []
    for line in (read_if_exists("/etc/dnf/plugins/versionlock.list") or b"").decode("utf-8", "replace").splitlines():
        out += [line.strip()] if line.strip() and not line.startswith("#") else []
    text = (read_if_exists("/etc/dnf/versionlock.toml") or b"").decode("utf-8", "replace")
    out += re.findall(r'(?m)^\s*name\s*=\s*"([^"]+)"', text)
    out += re.findall(r"(?m)^solvable_name:\s*(\S+)", (read_if_exists("/etc/zypp/locks") or b"").decode("utf-8", "replace"))
    return sorted(set(out))


def judge(plan, full):
    """Findings on a plan: daemons that would arrive, packages that were skipped, files that were not looked at."""
    findings = []
    for name in _plan.newcomers(plan["install"], plan["remove"]):
        remedy = "find out what asks for it (dnf repoquery --whatrequires %s, zypper search --requires %s), or waive this when the daemon is welcome" % (
            name,
            name,
        )
        findings.append(
            _blocker("plan.newcomer", name, "a daemon would be installed that this host does not have", "a dependency of another package brings it", remedy)
        )
    if full["skipped"]:
        evidence, remedy = ", ".join(full["skipped"][:10]), "remove or replace what they conflict with, then look again"
        findings.append(_blocker("plan.skipped", "%d packages" % len(full["skipped"]), "packages would stay on the old release", evidence, remedy))
    unknown = [c["path"] for c in plan["conffiles"] if c["unknown"]]
    if unknown:
        remedy = "set distro_upgrade_plan_download to 'true' to look at all of them"
        title = "locally changed files whose new form was not looked at"
        findings.append(Finding("plan.conffiles.unknown", "info", "%d files" % len(unknown), title, ", ".join(unknown[:20]), remedy))
    return findings
