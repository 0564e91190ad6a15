# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which configuration files would be asked about, told from md5 sums: recorded, on disk, in the new package. Opens files."""

from __future__ import annotations

import hashlib
import io
import tarfile

from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _simulate

QUERY = ["dpkg-query", "-W", "-f", "${binary:Package} ${db:Status-Abbrev}\n${Conffiles}\n.\n"]


def md5(data):
    """Hex md5 as dpkg records it, or None for None."""
    return None if data is None else hashlib.md5(data).hexdigest()  # dpkg's own record, nothing secret hangs on it


def edited(packages):
    """Configuration files of these installed packages that differ from what their package brought.

    Returns [{path, package, kind, local: edited|deleted, recorded, disk}], dpkg's conffiles and those that ucf keeps.
    """
    out = []
    for name, files in sorted(_simulate.conffiles(run(QUERY, timeout=300).text).items()):
        package = name.split(":")[0]
        if package not in packages:
            continue
        for path, recorded in sorted(files.items()):
            disk = md5(read_if_exists(path))
            if disk != recorded:
                out.append(
                    {"path": path, "package": package, "kind": "conffile", "local": "deleted" if disk is None else "edited", "recorded": recorded, "disk": disk}
                )
    owners = dict(reversed(line.split()) for line in _lines("/var/lib/ucf/registry") if len(line.split()) == 2)
    for line in _lines("/var/lib/ucf/hashfile"):
        recorded, _space, path = line.strip().partition("  ")
        package = owners.get(path)
        if package in packages:
            disk = md5(read_if_exists(path))
            if disk != recorded:
                out.append(
                    {"path": path, "package": package, "kind": "ucf", "local": "deleted" if disk is None else "edited", "recorded": recorded, "disk": disk}
                )
    return out


def _lines(path):
    return (read_if_exists(path) or b"").decode("utf-8", "surrogateescape").splitlines()


def template(package, recorded):
    """Path below / of the file of an installed package from which ucf's file was last made, found by its md5; None when it is generated."""
    for suffix in ("", ":amd64", ":arm64", ":i386"):
        for line in _lines("/var/lib/dpkg/info/%s%s.md5sums" % (package, suffix)):
            digest, _space, path = line.partition("  ")
            if digest == recorded:
                return "/" + path.strip()
    return None


def new_sums(deb, paths):
    """{path: md5 or None when the new package has no such file} read from a .deb."""
    out = dict.fromkeys(paths)
    data = run(["dpkg-deb", "--fsys-tarfile", deb], timeout=600).out
    with tarfile.open(fileobj=io.BytesIO(data), mode="r:") as archive:
        for member in archive:
            path = "/" + member.name.lstrip("./")
            if path in out and member.isfile():
                out[path] = md5(archive.extractfile(member).read())
    return out


def finish(entry, new, looked, decision):
    """One entry of the plan's conffiles. new: md5 in the new package (None: not in it). looked: whether the package was read."""
    if not looked:
        target, question = "unknown", None
        why = (
            "the file is made by the package's script: its new form is known only after the upgrade"
            if entry["kind"] == "ucf"
            else "the new package was not downloaded"
        )
    else:
        target = "gone" if new is None else "same" if new == entry["recorded"] else "changed"
        question = _simulate.question(entry["recorded"], entry["disk"], new)
        why = {"gone": "the new package does not bring it: the local file stays", "same": "the package's form did not change: the local file stays"}.get(
            target, "both sides changed"
        )
    named = {key: entry[key] for key in ("path", "package", "kind", "local")}
    return dict(named, target=target, question=bool(question), unknown=question is None, decision=decision, why=why)
