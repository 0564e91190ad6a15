# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Checks of a repository: its structure, and every time another part of its packs read to the last byte; what is wrong with the object's name."""

from __future__ import annotations

import datetime
import json
import re

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._backup import _outcome
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, parse_time

# restic 0.11 tells no more than its beginning.
ID = "[0-9a-f]{8,64}"
# (kind of object, pattern with the object's id and what is wrong with it), in the words of restic 0.11 to 0.18.
SIGNS = (
    ("pack", r"pack (?P<id>%s): (?P<why>(?!not referenced)[^\n]+)" % ID),
    ("pack", r"(?P<why>Pack ID does not match), want (?P<id>%s)" % ID),
    ("pack", r"pack (?P<id>%s) (?P<why>(contains \d+ errors|failed to download|is empty|is damaged)[^\n]*)" % ID),
    ("pack", r"Pack (?P<id>%s) (?P<why>contains[^\n]+)" % ID),
    ("index", r"error loading index (?P<id>%s): (?P<why>[^\n]+)" % ID),
    ("index", r"(unable to load|failed to load) index (?P<id>%s): (?P<why>[^\n]+)" % ID),
    ("snapshot", r"(load |LoadRaw\()<snapshot/(?P<id>%s)>\)?: (?P<why>[^\n]+)" % ID),
    ("snapshot", r"(could not|failed to) load snapshot (?P<id>%s): (?P<why>[^\n]+)" % ID),
    ("tree", r"error for tree (?P<id>%s):\n\s+(?P<why>[^\n]+)" % ID),
    ("key", r"config or key (?P<id>%s) (?P<why>is damaged[^\n]*)" % ID),
    ("key", r"LoadRaw\(<key/(?P<id>%s)>\): (?P<why>[^\n]+)" % ID),
    ("file", r"(?P<id>config) (?P<why>cannot be loaded: [^\n]+)"),
)
# One pack's loss makes a thousand files unreadable: a few are named, all are counted.
NAMED = 50
# As many of a lost pack's blobs are looked for: they are arguments.
BLOBS = 10000


def next_part(coverage, parts):
    """The part to read now: one never read, else the one read longest ago. coverage: {"parts": t, "read": {"n": moment}}. Pure."""
    read = coverage.get("read") or {} if coverage.get("parts") == parts else {}
    return min(range(1, parts + 1), key=lambda n: (read.get(str(n), ""), n))


def covered(coverage, now):
    """{percent, oldest, never}: how much of the packs was read, the moment of the part read longest ago and its age in days. Pure."""
    parts, read = int(coverage.get("parts") or 0), coverage.get("read") or {}
    oldest = min(read.values()) if read else ""
    return {
        "percent": round(100.0 * len(read) / parts, 1) if parts else 0.0,
        "never": parts - len(read),
        "oldest": oldest,
        "oldest_days": round((now - parse_time(oldest)).total_seconds() / 86400, 1) if oldest else None,
    }


def took(coverage, parts, part, when):
    """The coverage after a part was read without damage. Another number of parts starts anew: part 3 of 30 is not part 3 of 10. Pure."""
    read = dict(coverage.get("read") or {}) if coverage.get("parts") == parts else {}
    read[str(part)] = when
    return {"parts": parts, "read": read}


def spoiled(coverage, part):
    """The coverage after a part was found damaged: what was read of it no longer counts. Pure."""
    return dict(coverage, read={n: when for n, when in (coverage.get("read") or {}).items() if n != str(part)})


def damaged(text):
    """[(kind, id, why)] of what a check's output names, each object once. Pure."""
    found = {}
    for kind, pattern in SIGNS:
        for match in re.finditer(pattern, text):
            found.setdefault((kind, match.group("id")), match.group("why").strip())
    # A pack that is gone takes the trees in it along: they are its consequence, and named as such by whoever looks for affected files.
    short = {}
    for (kind, name), why in sorted(found.items(), key=lambda item: (item[0][0], -len(item[0][1]))):
        if not any(other[0] == kind and other[1].startswith(name) for other in short):
            short[(kind, name)] = why
    return [(kind, name, why) for (kind, name), why in sorted(short.items())]


def uncounted(text):
    """How many packs no index knows. Harmless leftovers of a cut run by themselves; with lost trees, the sign of a lost index. Pure."""
    # restic 0.18 tells their number alone.
    counts = [int(count) for count in re.findall(r"^(\d+) additional files were found in the repo", text, re.M)]
    return max([len(set(re.findall(r"pack (%s): not referenced in any index" % ID, text)))] + counts)


def run(restic, coverage, parts, expected=(), read=True, now=None):
    """Check a repository: (findings, coverage). expected: [(class, snapshot id)] that the state knows of; read: also read the part that is due.

    Locks of this host's dead processes are taken away first: a check needs the repository for itself.
    """
    now = now or _flight.now()
    try:
        restic.unlock_stale()
        outcome, text = _said(restic, [])
        found = _named(restic, text, outcome, expected)
        found += _missing(restic, expected) if outcome.kind in ("ok", "damaged") else []
    except _outcome.ResticError as exc:
        return exc.findings(), coverage
    if not outcome.ok and not found:
        return outcome.findings(restic.name), coverage
    if read and outcome.kind in ("ok", "damaged"):
        part = next_part(coverage, parts)
        outcome, text = _said(restic, ["--read-data-subset=%d/%d" % (part, parts)])
        known = {finding.subject for finding in found}
        more = [finding for finding in _named(restic, text, outcome, expected) if finding.subject not in known]
        if outcome.ok:
            coverage = took(coverage, parts, part, now)
        elif outcome.kind == "damaged" or more:
            coverage = spoiled(coverage, part)
        found += more or ([] if outcome.ok or found else outcome.findings(restic.name))
    return list({finding.subject: finding for finding in found}.values()), coverage


def _said(restic, options):
    outcome = restic.run(["check"] + options)
    return outcome, outcome.said + "\n" + outcome.out.decode("utf-8", "surrogateescape")


def _named(restic, text, outcome, expected):
    """Findings that name what a check found damaged, with the files and snapshots that need it."""
    signs = damaged(text)
    packs = [name for kind, name, _why in signs if kind == "pack"]
    lost = uncounted(text)
    trees = [name for kind, name, _why in signs if kind == "tree"]
    if trees and (packs or lost):
        # The trees are not where the damage is.
        signs = [sign for sign in signs if sign[0] != "tree"]
    if trees and lost and not packs:
        signs.append(("index", "(missing)", "%d packs are in no index, and %d directories cannot be found: an index file is gone" % (lost, len(trees))))
    out = []
    for kind, name, why in signs:
        name = restic.full_id(kind, name)
        files, snapshots = affected(restic, kind, name, expected)
        # A missing index takes part in every snapshot whose trees are lost.
        snapshots = snapshots or (_of_trees(restic, trees) if trees else [])
        out.append(_finding(restic.name, kind, name, why, files, snapshots))
    return out


def affected(restic, kind, name, expected):
    """([paths], [snapshot ids]) that need a pack, as far as the repository can still tell; of the newest snapshots when they are known."""
    if kind != "pack":
        return [], []
    arguments = ["find", "--json", "--no-lock", "--pack", name]
    newest = [part for _klass, snapshot in expected for part in ("--snapshot", snapshot)]
    outcome = restic.run(arguments + newest)
    if not restic.has("find-missing-pack") and outcome.out.strip() in (b"", b"[]"):
        # It looks into the pack itself, which may be gone: what was in it is asked of the index.
        blobs = [blob["id"] for blob in restic.indexed().get(name, []) if blob["type"] == "data"]
        outcome = restic.run(["find", "--json", "--no-lock", "--blob", *newest, *blobs[:BLOBS]]) if blobs else outcome
    files, snapshots = set(), set()
    for line in outcome.out.splitlines():
        try:
            entries = json.loads(line)
        except ValueError:
            continue
        for entry in entries if isinstance(entries, list) else []:
            snapshots.add(entry.get("snapshot", ""))
            if entry.get("path"):
                files.add(escape(entry["path"]))
    return sorted(files), sorted(snapshots - {""})


def _of_trees(restic, trees):
    try:
        return [shot["id"] for shot in restic.snapshots() if any(shot.get("tree", "").startswith(tree) for tree in trees)]
    except _outcome.ResticError:
        return []


def _missing(restic, expected):
    """Snapshots that the state knows of and that are not in the repository: a check does not miss them."""
    try:
        there = [shot["id"] for shot in restic.snapshots()]
    except _outcome.ResticError as exc:
        signs = damaged(exc.outcome.said)
        return [_finding(restic.name, kind, restic.full_id(kind, name), why, [], []) for kind, name, why in signs] or exc.findings()
    gone = [(klass, name) for klass, name in expected if not any(full.startswith(name) for full in there)]
    return [
        _finding(restic.name, "snapshot", name, "is not in the repository, where the state of %s says that it was put" % klass, [], [name], klass)
        for klass, name in gone
    ]


def _finding(repository, kind, name, why, files, snapshots, klass=""):
    evidence = "%s %s: %s" % (kind, name, why)
    if files:
        evidence += "; %d files need it: %s" % (len(files), ", ".join(files[:5]) + (", ..." if len(files) > 5 else ""))
    elif kind == "pack":
        evidence += "; no file is known to need it: it holds directories, or nothing in use"
    if snapshots:
        evidence += "; in snapshots %s" % ", ".join(shot[:8] for shot in snapshots[:10])
    finding = _outcome.finding("damaged", repository, klass, "%s %s" % (kind, name[:16]), evidence)
    finding.details.update(object=kind, object_id=name, paths=files[:NAMED], files=len(files), snapshots=snapshots)
    return finding


def stale(repository, coverage, max_age_days, now):
    """Findings about what was not read for too long. now: aware datetime. Pure."""
    state = covered(coverage, now)
    if not coverage.get("parts"):
        what = "never: no part of it was read back"
    elif state["never"] == 0 and now - parse_time(state["oldest"]) > datetime.timedelta(days=max_age_days):
        what = "the part read longest ago: %s days ago, %d are allowed" % (state["oldest_days"], max_age_days)
    else:
        return []
    return [
        Finding(
            id="backup.unproven",
            severity="warning",
            subject=_outcome.subject(repository, "packs"),
            title="what the repository holds was not read back in time",
            evidence=what,
            remedy="let the check run more often, or in fewer parts (check.parts)",
            details={"repository": repository, "covered": state},
        )
    ]
