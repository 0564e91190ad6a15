# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a power cut may have taken back of packages that dpkg calls done: they are unpacked and configured again from their archives.

dpkg syncs a package's files and its own database, but neither new configuration files nor what a package's script writes. These may be empty afterwards.
"""

from __future__ import annotations

import io
import os
import tarfile

from ansible_collections.intact.hosting.plugins.module_utils._files import write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _questions, _simulate

INFO = "/var/lib/dpkg/info"
ARCHIVES = "/var/cache/apt/archives"
# Seconds after which a kernel has written what was changed, by its own rules and with room to spare.
RECENT = 180
PACKAGES = "${binary:Package} ${Package} ${Architecture} ${Version} ${db:Status-Status}\n"


def recent(times, since):
    """Names of the packages that were changed within RECENT seconds before the last change, and not before a moment (epoch). Pure. times: {name: epoch}."""
    first = max(since, max(times.values(), default=0) - RECENT)
    return {name for name, moment in times.items() if moment >= first}


def archives(text, names, there):
    """{package: archive} of those of the names that are installed or unpacked and whose archive is there. Pure.

    text: what dpkg-query says in the format PACKAGES. names: as files below INFO are called. there: names of files.
    """
    out = {}
    for line in text.splitlines():
        parts = line.split()
        if len(parts) != 5 or not {parts[0], parts[1]} & set(names) or parts[4] in ("not-installed", "config-files"):
            continue
        archive = "%s_%s_%s.deb" % (parts[1], parts[3].replace(":", "%3a"), parts[2])
        if archive in there:
            out[parts[0]] = archive
    return out


def emptied(recorded, edited):
    """Configuration files that are empty and were not when their package brought them, as {path: md5}. recorded: all; edited: paths not to judge."""
    out = {}
    for path, digest in recorded.items():
        if path in edited or digest == _questions.md5(b"") or os.path.islink(path) or not os.path.isfile(path):
            continue
        if os.path.getsize(path) == 0:
            out[path] = digest
    return out


def content(tar, wanted):
    """{path: bytes} of the files of a package (tar: what dpkg-deb --fsys-tarfile gives) that have the wanted md5 ({path: md5})."""
    out = {}
    with tarfile.open(fileobj=io.BytesIO(tar), mode="r:") as archive:
        for member in archive:
            path = os.path.normpath("/" + member.name)
            if path in wanted and member.isfile():
                data = archive.extractfile(member).read()
                if _questions.md5(data) == wanted[path]:
                    out[path] = data
    return out


def again(host):
    """Unpack again what may have lost something, and put emptied configuration files back; returns the packages. They are configured by whoever heals."""
    times = {name[:-5]: os.stat(os.path.join(INFO, name)).st_mtime for name in os.listdir(INFO) if name.endswith(".list")} if os.path.isdir(INFO) else {}
    names = recent(times, host.uncertain_since)
    text = host.run(["dpkg-query", "-W", "-f", PACKAGES], check=False).text
    chosen, paths = archives(text, names, set(os.listdir(ARCHIVES)) if os.path.isdir(ARCHIVES) else ()), []
    if not chosen:
        return []
    recorded = _simulate.conffiles(host.run(_questions.QUERY, check=False, timeout=300).text)
    for package, archive in sorted(chosen.items()):
        path = os.path.join(ARCHIVES, archive)
        whole = host.run(["dpkg-deb", "--fsys-tarfile", path], check=False, timeout=600)
        if whole.rc != 0:
            # the cut took the archive, too; when dpkg needs it, apt fetches it
            continue
        paths.append(path)
        lost = emptied(recorded.get(package, {}), host.edited)
        for name, data in content(whole.out, lost).items() if lost else ():
            write_atomic(name, data, os.stat(name).st_mode & 0o7777)
            host.memory.journal("note", text="%s was emptied by a power cut and is again as %s brought it" % (name, package))
    if paths:
        host.memory.journal("note", text="unpacked again after a power cut: %s" % ", ".join(sorted(chosen)))
        host.packages(["dpkg", "--unpack"] + _host.CONFFILES + paths, status=False)
    return sorted(chosen)
