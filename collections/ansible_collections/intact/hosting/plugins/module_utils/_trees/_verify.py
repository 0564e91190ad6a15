# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Proof after a copy: the target read back from its device against the manifest of the source; and rsync's opinion."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._trees import _compare, _manifest, _record
from ansible_collections.intact.hosting.plugins.module_utils._trees._manifest_file import Reader
from ansible_collections.intact.hosting.plugins.module_utils._trees._told import Told

# rsync's letters, then what it prints between a size and the name
ITEM = re.compile(rb"([<>ch.*][fdLDS][^ ]{9}|\*deleting  ) (.*)\Z", re.DOTALL)
_ESCAPED = re.compile(rb"\\#([0-7]{3})")


def verify(target, manifest, ids=None, tell=None, rules=(), unmade=False, scratch=None, extra=False, device=True):
    """Read the whole target from its device and compare. Returns {counts {class: number}, bytes, seconds, findings [Finding]}.

    extra: what only the target has is a finding too. scratch: directory for the second manifest (the manifest's own when not given).
    """
    header = Reader(manifest).header
    folder = tempfile.mkdtemp(prefix=".intact-", dir=scratch or os.path.dirname(os.path.abspath(os.fsdecode(manifest))))
    try:
        second = os.path.join(folder, "after.gz")
        made = _manifest.Manifest(target, second, tell, rules, header["digest"], device=device, totals=(header.get("files"), None)).run()
        findings, counts = differences(target, manifest, second, ids, extra, unmade)
    finally:
        shutil.rmtree(folder)
    return {"counts": counts, "bytes": made["bytes"], "seconds": made["seconds"], "findings": findings + made["findings"]}


def differences(target, before, after, ids=None, extra=True, unmade=False):
    """Two manifests compared: ([Finding], {class: number}). Raises IntactError when there was nothing to compare."""
    top = Told("tree_verify", os.path.abspath(os.fsencode(target)))
    comparison = _compare.compare(before, after, ids, unmade=unmade)
    for difference in comparison:
        if extra or difference["class"] != "extra":
            top.add("difference", _record.raw_path(difference["path"]), _compare.told(difference), difference)
    if not sum(comparison.counts.values()):
        raise IntactError("nothing was compared: neither %s nor %s has an entry; make them again" % (before, after))
    return top.findings(), comparison.counts


def second_opinion(source, target, ids=None, rules=()):
    """rsync -aHAXnc --itemize-changes: {counts {"rsync": number, "ignored": number}, findings}. With ids, owners, groups and ACLs are left out, as rsync
    can't map them.

    It also reports entries that a copy does not make (sockets, devices): those are counted as ignored. Raises IntactError without rsync.
    """
    program = shutil.which("rsync")
    if program is None:
        raise IntactError("second_opinion needs rsync, which is not installed: install it, or go without")
    flags = "-aHXnc" if ids is not None else "-aHAXnc"
    argv = [program, flags, "--numeric-ids", "--itemize-changes", "--out-format=%i %n", "--exclude=lost+found"]
    argv += ["--no-o", "--no-g"] if ids is not None else []
    argv += ["--exclude=%s" % rule for rule in rules]
    sides = [os.path.join(os.path.abspath(os.fsencode(side)), b"") for side in (source, target)]
    done = subprocess.run([os.fsencode(part) for part in argv] + [b"--"] + sides, capture_output=True, check=False, env=dict(os.environ, LC_ALL="C"))
    if done.returncode:
        raise IntactError("rsync ended with %d: %s" % (done.returncode, escape(done.stderr[-400:].strip())), rc=done.returncode)
    top, ignored = Told("tree_copy", sides[1].rstrip(b"/")), 0
    for line in done.stdout.splitlines():
        match = ITEM.match(line)
        if match is None:
            continue
        letters, name = match.group(1).decode(), _ESCAPED.sub(lambda octal: bytes((int(octal.group(1), 8),)), match.group(2)).rstrip(b"/")
        if letters[1] in "DS" and not _fifo(sides[0] + name):
            ignored += 1
            continue
        top.add("rsync", name, letters)
    return {"counts": {"rsync": top.counts.get("rsync", 0), "ignored": ignored}, "findings": top.findings()}


def _fifo(path):
    try:
        return (os.lstat(path).st_mode & 0o170000) == 0o010000
    except OSError:
        return True
