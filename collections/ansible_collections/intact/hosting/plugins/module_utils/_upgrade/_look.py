# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Look at an upgrade before it: everything the plan is built from, read from the host and the target's mirrors. Changes nothing but its own state."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils import _binding, _conffiles, _flight
from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _packages, _plan, _private_apt, _questions, _simulate, _space, _state

ARCHIVES = "/var/cache/apt/archives"
# With download=auto no more than this is fetched to tell the truth about configuration files.
FETCH_LIMIT = 250 * 1000 * 1000


def mounts():
    """Mount points of the host that hold files of their own, from the kernel."""
    out = []
    for line in (read_if_exists("/proc/self/mountinfo") or b"").decode("utf-8", "surrogateescape").splitlines():
        point = re.sub(r"\\([0-7]{3})", lambda m: chr(int(m.group(1), 8)), line.split(" ")[4])
        if os.path.isdir(point) and not point.startswith(("/proc", "/sys", "/dev", "/run")):
            out.append(point)
    return sorted(set(out))


def file_sizes(name, arch, real):
    """[(path, bytes)] of an installed package's regular files, links in directories followed (merged /usr). real: cache of directories."""
    for stem in (name, "%s:%s" % (name, arch)):
        data = read_if_exists("/var/lib/dpkg/info/%s.list" % stem)
        if data is not None:
            break
    out = []
    for raw in (data or b"").split(b"\n"):
        path = os.fsdecode(raw)
        directory, base = os.path.split(path)
        if not base or path == "/.":
            continue
        if directory not in real:
            real[directory] = os.path.realpath(directory)
        try:
            status = os.lstat(os.path.join(real[directory], base))
        except OSError:
            continue
        if status.st_size and (status.st_mode & 0o170000) == 0o100000:
            out.append((os.path.join(real[directory], base), status.st_size))
    return out


def _space_needed(full, archives, sizes, records):
    """Numbers per mount (see _space.spread) with free and total bytes."""
    points, real, known, changes = mounts(), {}, {}, []
    for entry in full["upgrade"] + full["remove"]:
        known[entry["name"]] = _space.shares(file_sizes(entry["name"], entry["arch"], real), points)
    for entry in full["upgrade"] + full["install"]:
        new = int(records.get(entry["name"], {}).get("installed-size", "0") or 0) * 1024
        changes.append({"name": entry["name"], "old": sizes.get((entry["name"], entry["arch"]), {}).get("bytes", 0) if "from" in entry else 0, "new": new})
    missing = sum(a["size"] for a in archives if not _there(a))
    extra = [("backups", "/var/lib/intact", tree_size("/var/lib/dpkg") + tree_size("/etc"))]
    kernels = [e for e in full["install"] + full["upgrade"] if re.match(r"linux-image-\d", e["name"])]
    initrds = [os.path.getsize("/boot/" + n) for n in os.listdir("/boot") if n.startswith("initrd.img")] if os.path.isdir("/boot") else []
    if kernels:
        extra.append(("initrd", "/boot", int(1.5 * max(initrds or [60 * 1000 * 1000])) * len(kernels)))
    out = _space.spread(changes, points, known, [(ARCHIVES, missing)], extra)
    for mount, numbers in out.items():
        status = os.statvfs(mount)
        numbers.update(free=status.f_bavail * status.f_frsize, total=status.f_blocks * status.f_frsize)
    return out, missing


def _there(archive):
    path = os.path.join(ARCHIVES, archive["file"])
    return os.path.exists(path) and os.path.getsize(path) == archive["size"]


def tree_size(top):
    total = 0
    for directory, _names, files in os.walk(top):
        for name in files:
            try:
                total += os.lstat(os.path.join(directory, name)).st_size
            except OSError:
                continue
    return total


def _conffile_entries(target, full, archives, records, download, decide):
    """The plan's conffiles, and how many packages were fetched for them."""
    by_name = {_archive_key(a["file"]): a for a in archives}
    entries = _questions.edited({e["name"] for e in full["upgrade"]})
    versions = {e["name"]: e for e in full["upgrade"]}
    wanted, out, fetched = {}, [], 0
    for entry in entries:
        wanted.setdefault(entry["package"], []).append(entry)
    total = sum(by_name[_key(versions[name])]["size"] for name in wanted if _key(versions[name]) in by_name)
    look = download == "true" or (download == "auto" and total <= FETCH_LIMIT)
    for name, group in sorted(wanted.items()):
        archive, sums, paths = by_name.get(_key(versions[name])), None, {}
        if archive and look:
            deb = os.path.join(ARCHIVES, archive["file"]) if _there(archive) else target.fetch(archive, records[name]["sha256"])
            fetched += 1
            for entry in group:
                source = entry["path"] if entry["kind"] == "conffile" else _questions.template(name, entry["recorded"])
                if source:
                    paths[entry["path"]] = source
            sums = _questions.new_sums(deb, set(paths.values()))
        for entry in group:
            looked = sums is not None and entry["path"] in paths
            out.append(_questions.finish(entry, sums[paths[entry["path"]]] if looked else None, looked, decide(entry["path"])))
    return sorted(out, key=lambda e: e["path"]), fetched


def _key(entry):
    return entry["name"], entry["to"].split(":", 1)[-1], entry["arch"]


def _archive_key(name):
    """(package, version without epoch, arch) from an archive's file name."""
    stem = name[:-4] if name.endswith(".deb") else name
    parts = stem.replace("%3a", ":").split("_")
    return (parts[0], parts[1].split(":", 1)[-1], parts[2]) if len(parts) == 3 else (stem, "", "")


def look(path, root, source_map=(), protected=(), conffiles=(), default="", target_files=(), download="auto"):
    """(plan or None, [Finding]) for a release path (dict). root: directory of the private state, kept for the next look.

    conffiles, default, target_files: see _conffiles.decision(). download: auto, true or false. Another look at the same time is waited for.
    """
    with _state.exclusive("looking at an upgrade", root, patience=1800):
        return _looked(path, root, source_map, protected, conffiles, default, target_files, download)


def _looked(path, root, source_map, protected, conffiles, default, target_files, download):
    findings = []
    source, target = _private_apt.PrivateApt(root + "/source"), _private_apt.PrivateApt(root + "/target", root + "/archives")
    try:
        texts, changes = _private_apt.staged_sources(path["suites"], source_map, path.get("components") or [])
    except IntactError as exc:
        return None, [
            Finding(
                "plan.source.unreadable",
                "blocker",
                "/etc/apt",
                "an apt source cannot be turned into the target's",
                str(exc),
                "correct the file it names, then look again",
            )
        ]
    source.prepare(_private_apt.live_sources())
    target.prepare(texts)
    for state, release in ((source, path["source"]), (target, path["target"])):
        said = state.update()
        if said:
            findings.append(
                Finding(
                    "plan.source.unreachable",
                    "blocker",
                    "%s %s" % (release["id"], release["codename"]),
                    "not every apt source answers for %s" % release["codename"],
                    "; ".join(said[:5]),
                    "repair the mirror, or name the source in distro_upgrade_source_map (rename, disable or keep)",
                    details={"said": said},
                )
            )
    try:
        plan = _simulated(path, source, target, changes, protected, lambda name: _conffiles.decision(name, conffiles, default, target_files)[0], download)
    except IntactError as exc:
        findings.append(
            Finding(
                "plan.impossible",
                "blocker",
                path["name"],
                "apt sees no way to the target release",
                str(exc),
                "repair the packages that it names (dpkg --audit, apt-get check, holds, third-party packages), then look again",
            )
        )
        return None, findings
    for name in _plan.newcomers(plan["install"], plan["remove"]):
        findings.append(
            Finding(
                "plan.newcomer",
                "blocker",
                name,
                "a daemon would be installed that this host does not have",
                "a dependency of another package brings %s %s" % (name, next(e["to"] for e in plan["install"] if e["name"] == name)),
                "find out what asks for it (apt-cache rdepends %s) and give that what it needs otherwise, or waive this when the daemon is welcome" % name,
            )
        )
    unknown = [c["path"] for c in plan["conffiles"] if c["unknown"] and c["kind"] == "conffile"]
    if unknown:
        findings.append(
            Finding(
                "plan.conffiles.unknown",
                "info",
                "%d files" % len(unknown),
                "locally changed files whose new form was not looked at",
                ", ".join(unknown[:20]),
                "set distro_upgrade_plan_download to 'true' to look at all of them",
            )
        )
    return plan, findings


def _simulated(path, source, target, changes, protected, decide, download):
    patch = _simulate.transaction(source.simulate("full-upgrade"))
    minimal = _simulate.transaction(target.simulate("upgrade", "--without-new-pkgs"))
    # Asking for a package that apt would bring anyway does no harm, so that what arrives need not be known here.
    extra = target.known(_plan.wanted_replacements(_simulate.announced(target.announced("full-upgrade"))["remove"], [], path.get("expected_removals") or []))
    text = target.simulate("full-upgrade", *extra)
    full = _simulate.transaction(text)
    gone = {(e["name"], e["from"]) for e in full["remove"]}
    sizes = _packages.installed()
    with_auto = _simulate.announced(target.announced("full-upgrade", "--autoremove", *extra))["remove"]
    autoremove = [e for e in with_auto if (e["name"], e["from"]) not in gone]
    held = set(run(["apt-mark", "showhold"]).text.split())
    versions = {}
    for (name, _arch), fact in sizes.items():
        versions.setdefault(name, fact["version"])
    kept = [n for n in _simulate.kept_back(text) if n not in held]
    archives = target.uris("full-upgrade", *extra)
    records = target.records([(e["name"], e["arch"], e["to"]) for e in full["upgrade"] + full["install"]])
    disk, missing = _space_needed(full, archives, sizes, records)
    conffiles, _fetched = _conffile_entries(target, full, archives, records, download, decide)
    return _plan.build(
        path,
        changes,
        patch,
        minimal,
        full,
        autoremove,
        conffiles=conffiles,
        disk=disk,
        download_bytes=missing,
        protected=protected,
        replacements=extra,
        held=[{"name": n, "version": versions.get(n.split(":")[0], "")} for n in sorted(held)],
        kept=[{"name": n, "version": versions.get(n, "")} for n in kept],
        packages_hash=_binding.packages_digest(System()),
        made=_flight.now(),
        apt={"config": target.config, "archives": target.archives},
        lists=max(source.fetched, target.fetched, key=lambda told: told.get("bytes", 0)),
    )
