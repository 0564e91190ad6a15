# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a class held when it was backed up, and whether that can be true: nothing at all, less than expected, much less than before. Pure."""

from __future__ import annotations

import datetime
import gzip
import hashlib
import json

from ansible_collections.intact.hosting.plugins.module_utils._backup import _outcome
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

SCHEMA = 1
DROP = 30
ROTTEN_LISTED = 20
MEND_ROTTEN = "look at the disk (smartctl -x, dmesg), then bring the file back from a backup of that day or earlier: the copies have its earlier content"
# An object with fewer things than this comes and goes.
EMPTIED_FROM = 5


def make(klass, job, run, moment, host_id, looked, streams=(), volatile=(), release=None, since=0):
    """The document. looked: {sections, counts, objects, excluded, unlooked}. release: {id, version} of the operating system.

    since: when that look began, in nanoseconds of the host's clock: an entry of the snapshot that was changed later is none that it saw.
    """
    return {
        "schema": SCHEMA,
        "class": klass,
        "host": job["host"],
        "host_id": host_id,
        "os": dict(release or {}),
        "run": run,
        "made": moment,
        "since": since,
        "sections": looked["sections"],
        "counts": looked["counts"],
        "objects": looked["objects"],
        "excluded": looked["excluded"],
        "unlooked": looked["unlooked"],
        "volatile": sorted(volatile),
        "streams": list(streams),
    }


def pack(document):
    """(bytes as they are stored, sha256 of them). Compressed lightly: digests do not get smaller."""
    data = json.dumps(document, separators=(",", ":")).encode("utf-8", "backslashreplace")
    packed = gzip.compress(data, 1, mtime=0)
    return packed, hashlib.sha256(packed).hexdigest()


def unpack(data):
    """The document of pack(), or IntactError."""
    try:
        document = json.loads(gzip.decompress(data))
    except (OSError, EOFError, ValueError) as exc:
        raise IntactError("this is no manifest: %s" % exc) from exc
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise IntactError("this manifest has schema %s and this release reads %d" % (document.get("schema") if isinstance(document, dict) else None, SCHEMA))
    return document


def judge(manifest, previous, options, expected):
    """Findings: nothing at all, below the floor, a drop of more than drop_percent in all or emptied in one place, and what could not be read.

    previous: {counts, objects} of the last manifest that was found good, or {}. options: of the class (floor, drop_percent).
    expected: the count that must not be zero.
    """
    klass, counts = manifest["class"], manifest["counts"]
    out = []
    if not counts.get(expected):
        out.append(
            _finding(
                "class.empty",
                klass,
                "",
                "the class is in use and not one of its %s was found" % expected,
                _told(counts),
                "see why, or switch the class off",
            )
        )
    for what, least in sorted((options.get("floor") or {}).items()):
        if counts.get(what, 0) < least:
            evidence = "%d, the floor is %d" % (counts.get(what, 0), least)
            out.append(_finding("class.floor", klass, what, "fewer %s than there have to be" % what, evidence, "see where they are"))
    percent = options.get("drop_percent", DROP)
    for what, was in sorted((previous.get("counts") or {}).items()):
        now = counts.get(what, 0)
        if what != "entries" and was >= EMPTIED_FROM and percent and now < was * (100 - percent) / 100.0:
            evidence = "%d in the last good backup, now %d" % (was, now)
            out.append(_finding("class.drop", klass, what, "%d %% fewer %s" % (100 - 100 * now // was, what), evidence, ACCEPT))
    return out + _emptied(manifest, previous, klass) + _unread(manifest, klass)


ACCEPT = "see where they are; if it was wanted, waive this once: then the new number is what later backups are held against"


def _emptied(manifest, previous, klass):
    """One finding for each place that held things and holds none, the topmost only."""
    before, now = previous.get("objects") or {}, manifest["objects"]
    tops, out = [], []
    for name in sorted(name for name, count in before.items() if count >= EMPTIED_FROM and not now.get(name)):
        if tops and name.startswith(tops[-1] + "/"):
            continue
        tops.append(name)
        words = "is empty" if name in now else "is gone"
        evidence = "%d in the last good backup, now none" % before[name]
        out.append(_finding("class.empty", klass, name, "%s and held something before" % words, evidence, ACCEPT))
    return out


def _unread(manifest, klass):
    """What the eyes could not see: it is in no manifest, so no drill will miss it. Files, databases and whole sections must be seen."""
    out = []
    for entry in manifest.get("unlooked") or []:
        grave = entry.get("section") in ("files", "databases", None) or entry["what"].startswith("section ")
        remedy = "make it readable, or leave it out with a reason"
        severity = "blocker" if grave else "warning"
        out.append(_finding("source.unreadable", klass, entry["what"], "could not be looked at", entry["why"], remedy, severity))
    return out


def volatile_finding(klass, path, times):
    """A file that changed each time it was read: its copy may be of no one moment."""
    return _finding(
        "source.volatile",
        klass,
        path,
        "changed while it was backed up",
        "each of the %d times it was read" % times,
        "back it up by what writes it (a dump), or leave it out with a reason",
        severity="warning",
    )


def rotten(klass, found):
    """Files whose bytes are others and whose times are not: nobody wrote them, so a disk, its memory or its cable did. found: see FilesCache.rotten."""
    out = []
    for path, day, was, now in found[:ROTTEN_LISTED]:
        read = datetime.date(1970, 1, 1) + datetime.timedelta(days=day)
        evidence = "sha256 %s on %s, now %s, with the same inode, size and times" % (was[:16], read, now[:16])
        out.append(_finding("source.rotten", klass, path, "its content changed and nobody wrote it", evidence, MEND_ROTTEN, paths=[path]))
    more = [path for path, _day, _was, _now in found[ROTTEN_LISTED:]]
    if more:
        title = "the content of %d more files changed and nobody wrote them" % len(more)
        out.append(_finding("source.rotten", klass, "", title, ", ".join(more[:5]) + ", ...", MEND_ROTTEN, paths=more[:1000]))
    return out


def not_in_use(klass):
    """A class that has to be backed up, and is not there."""
    return _finding(
        "class.empty", klass, "", "the class has to be backed up and nothing of it is on this host", "enabled is true", "see why, or set enabled to auto"
    )


def class_failed(klass, why):
    """A class that could not be backed up at all."""
    return _finding("class.failed", klass, "", "could not be backed up", why, "do what it says, then back up again")


def dump_failed(klass, name, why, kind="dump.failed"):
    """A database of which there is no whole dump: no repository holds this one."""
    return _finding(kind, klass, name, "there is no whole dump of it", why, "do what it says, then back up again; older dumps stay in the repositories")


def view_broken(klass, view, why):
    """A view that does not work on the host: its dump holds it as it is."""
    return _finding("dump.view", klass, view, "the view was broken when it was dumped", why, "repair or drop it on the host", "warning")


def dump_inexact(klass, name, rules):
    """Columns that the dump can't carry to the last bit (see Dump.rules): counted, not compared."""
    title = "some columns can't be dumped exactly"
    said = "; ".join(sorted(str(rule.get("reason") or rule) for rule in rules)[:3])
    return _finding("dump.inexact", klass, name, title, said, "keep a second kind of backup of it, or change the columns' type", "warning")


def _told(counts):
    return ", ".join("%d %s" % (number, what) for what, number in sorted(counts.items())) or "nothing was counted"


def _finding(name, klass, subject, title, evidence, remedy, severity="blocker", **more):
    subject = _outcome.subject("", klass, subject)
    return Finding(id="backup." + name, severity=severity, subject=subject, title=title, evidence=evidence, remedy=remedy, details={"class": klass, **more})
