# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a repository's snapshots are: runs of classes, each with its manifest and its streams. Pure."""

from __future__ import annotations

import gzip
import hashlib
import json
import re
import urllib.parse
import zlib
from dataclasses import dataclass, field

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError, parse_time

MANIFESTS = "/var/lib/intact/backup/manifests/"
SCHEMA = 1


def manifest_path(name):
    """Where a class's manifest is in its snapshot."""
    return "%s%s.json.gz" % (MANIFESTS, name)


@dataclass
class Run:
    """One backup of one class in one repository. snapshot: id of the snapshot with the manifest, None while there is none.

    streams: {path in the snapshot: snapshot id}. tree: whether the manifest's snapshot holds anything besides the manifest.
    """

    name: str
    run: str
    taken: str = ""
    snapshot: str = None
    tags: tuple = ()
    tree: bool = False
    streams: dict = field(default_factory=dict)

    @property
    def said(self):
        """The manifest's digest by the snapshot's own tag, or None."""
        return next((tag.partition(":")[2] for tag in self.tags if tag.startswith("manifest:")), None)


def runs(snapshots, host):
    """{class: [Run, newest first]} from restic's list of snapshots (id or short_id, time, paths, tags, hostname)."""
    found = {}
    for shot in sorted(snapshots, key=lambda s: moment(s["time"])):
        tags = list(shot.get("tags") or [])
        words = dict(tag.split(":", 1) for tag in tags if ":" in tag)
        if "intact" not in tags or "class" not in words or "run" not in words or (host and shot.get("hostname") != host):
            continue
        run = found.setdefault(words["class"], {}).setdefault(words["run"], Run(words["class"], words["run"]))
        paths = list(shot.get("paths") or [])
        if manifest_path(run.name) in paths:
            # the last one counts: what changed meanwhile was backed up again
            run.snapshot, run.taken, run.tags = shot.get("id") or shot["short_id"], shot["time"], tuple(tags)
            run.tree = len(paths) > 1
        else:
            for path in paths:
                run.streams[path] = shot.get("id") or shot["short_id"]
            run.taken = run.taken or shot["time"]
    return {name: sorted(some.values(), key=lambda run: moment(run.taken), reverse=True) for name, some in found.items()}


def moment(text):
    """A time of restic's, whose fractions of a second have nine digits."""
    return parse_time(re.sub(r"(\.\d{6})\d+", r"\1", re.sub(r"(\.\d{1,5})(?=[+Z-])", lambda m: m.group(1).ljust(7, "0"), text)))


def newest(found):
    """(newest run with a manifest or None, runs begun after it that have none)."""
    for index, run in enumerate(found):
        if run.snapshot:
            return run, found[:index]
    return None, list(found)


def opened(data, name):
    """(manifest, sha256 of its file) from the file's bytes. Raises IntactError when it is none."""
    digest = hashlib.sha256(data).hexdigest()
    try:
        manifest = json.loads(gzip.decompress(data))
    except (OSError, EOFError, ValueError, zlib.error) as exc:
        raise IntactError("the manifest of %s cannot be read: %s" % (name, exc)) from exc
    if not isinstance(manifest, dict) or manifest.get("class") != name or not isinstance(manifest.get("sections"), dict):
        raise IntactError("the manifest of %s is none" % name)
    if manifest.get("schema") != SCHEMA:
        raise IntactError("the manifest of %s has schema %s, and this release reads %d" % (name, manifest.get("schema"), SCHEMA))
    return manifest, digest


def stream_snapshot(run, stream):
    """(path in the snapshot, snapshot id) of a manifest's stream, or None when it is not there."""
    for path, snapshot in run.streams.items():
        # restic 0.18.0 takes no directory for a stream: see Restic.stdin().
        told = urllib.parse.unquote(path) if path.startswith("/intact%2F") else path
        if told.strip("/") in (stream["path"].strip("/"), "intact/" + stream["path"].strip("/")):
            return path, snapshot
    return None
