# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Configuration files around the package stages: the operator's target files put in place, what packages left beside changed files decided."""

from __future__ import annotations

import glob
import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils import _conffiles
from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory
from ansible_collections.intact.hosting.plugins.module_utils._upgrade._host import StageFailure

RESIDUE = (".dpkg-dist", ".dpkg-new", ".dpkg-old", ".dpkg-bak", ".dpkg-remove", ".ucf-dist", ".ucf-new", ".ucf-old", ".rpmnew", ".rpmsave", ".rpmorig")
# Of these, those that hold the package's form.
NEW = (".dpkg-dist", ".dpkg-new", ".ucf-dist", ".ucf-new", ".rpmnew")


def below(top):
    """[(path from / as it will be, staged path)] of the files and links below a staging directory, sorted."""
    out = []
    for directory, _names, files in os.walk(top):
        for name in files:
            staged = os.path.join(directory, name)
            out.append(("/" + os.path.relpath(staged, top), staged))
    return sorted(out)


def put(host, staged, path, group):
    """Install one file atomically; the file that is there lends its owner and mode, and a copy of it is kept. True when it changed."""
    if os.path.islink(staged):
        if os.path.islink(path) and os.readlink(path) == os.readlink(staged):
            return False
    else:
        with open(staged, "rb") as handle:
            data = handle.read()
        if os.path.isfile(path) and not os.path.islink(path):
            with open(path, "rb") as handle:
                if handle.read() == data:
                    return False
    host.keep(path, group)
    os.makedirs(os.path.dirname(path), mode=0o755, exist_ok=True)
    temporary = path + ".intact-new"
    if os.path.lexists(temporary):
        os.unlink(temporary)
    host.run(["cp", "-a", "--", staged, temporary])
    if not os.path.islink(staged):
        try:
            was = os.stat(path)
        except FileNotFoundError:
            was = None
        os.chown(temporary, was.st_uid if was else 0, was.st_gid if was else 0)
        os.chmod(temporary, stat.S_IMODE(was.st_mode) if was else stat.S_IMODE(os.stat(staged).st_mode) & ~0o022)
        with open(temporary, "rb") as handle:
            os.fsync(handle.fileno())
    os.rename(temporary, path)
    fsync_directory(os.path.dirname(path))
    return True


def install(host, staging, absent):
    """Put the operator's target files in place and set aside those that must be absent (shell patterns); returns (installed, removed)."""
    files = below(staging)
    wanted, installed, removed = {path for path, _staged in files}, [], []
    for pattern in absent:
        for path in sorted(glob.glob(pattern)):
            if path not in wanted and not os.path.isdir(path):
                host.keep(path, "target-files")
                os.unlink(path)
                removed.append(path)
    for path, staged in files:
        if put(host, staged, path, "target-files"):
            installed.append(path)
    return installed, removed


def check(host, checks, covered):
    """Run the release path's own checks of configurations that the target files touch. Raises StageFailure with what the daemon says."""
    for entry in checks:
        top = (entry.get("configuration") or "").rstrip("/")
        if (
            not top
            or not any(path == top or path.startswith(top + "/") for path in covered)
            or not any(host.package_version(name) for name in entry.get("detect") or [])
        ):
            continue
        result = host.run(entry["command"], check=False, timeout=300)
        if result.rc != 0:
            said = (result.error or result.text).strip().splitlines()[-3:]
            raise StageFailure(
                "%s does not accept its new configuration: %s" % (entry["name"], " | ".join(said)),
                "correct the target files for %s and start the upgrade again: it goes on here" % top,
            )


def residue(top="/etc"):
    """Files below a directory that packages left beside a changed one, sorted."""
    out = []
    for directory, _names, files in os.walk(top):
        out += [os.path.join(directory, name) for name in files if name.endswith(RESIDUE)]
    return sorted(out)


def decide(host, entries, default, target_files, before=()):
    """Carry out decisions; returns [{path, residue, decision, done}] for all that was left. before: residue that was there already, left alone.

    rpm puts a package's %config in place of the local file, which becomes .rpmsave: a decision to keep puts it back.
    """
    out = []
    for left in residue():
        if left in before:
            continue
        suffix = next(s for s in RESIDUE if left.endswith(s))
        path = left[: -len(suffix)]
        decided = _conffiles.decision(path, entries, default, target_files)[0]
        back = decided == "keep" and suffix == ".rpmsave" and os.path.isfile(path)
        done = back or (decided == "replace" and suffix in NEW)
        if done:
            host.keep(left, "residue")
            put(host, left, path, "residue")
            os.unlink(left)
        out.append({"path": path, "residue": left, "decision": decided or "keep", "done": done})
    return out
