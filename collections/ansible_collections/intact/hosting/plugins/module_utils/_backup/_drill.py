# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The drill: what lies in each repository is restored, looked at with the eyes that made its manifest, and compared with it."""

from __future__ import annotations

import datetime
import os
import time

from ansible_collections.intact.hosting.plugins.module_utils._backup import (
    _compared,
    _late,
    _loading,
    _looks,
    _metadata,
    _outcome,
    _rooted,
    _scratch,
    _snapshots,
)
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

# How far ahead of ours a host's clock may be.
AHEAD = datetime.timedelta(minutes=5)
# Changes that tell of the look, not of what was restored. Every other difference is a loss: nothing happened in between.
NO_LOSS = ("unlooked", "off", "still", "new", "unproven", "")
# Too little was compared: no loss that was seen, and no proof either.
UNCOMPARED = "drill.uncompared"
# So many volatile subjects have a finding each.
LISTED = 20


class Drill:
    """Drills of one host's backups. repositories: {name: _source.Source}. scratch: an entered _scratch.Scratch.

    host: its name in the snapshots. known: {class: {run: manifest sha256}} as the host's own state tells. servers: function(directory) -> _loading.Servers.
    disturb: for tests, called with (repository, class, tree) after a tree was restored. now: function -> aware datetime.
    limit: how much of a class may be left uncompared, see _compared.LIMIT.
    """

    def __init__(
        self,
        repositories,
        scratch,
        host,
        known=None,
        servers=_loading.Servers,
        clock=time.monotonic,
        now=None,
        disturb=None,
        tell=lambda _line: None,
        limit=None,
    ):
        self.repositories, self.scratch, self.host = repositories, scratch, host
        self.known, self._servers, self._clock = known or {}, servers, clock
        self._now = now or (lambda: datetime.datetime.now(datetime.timezone.utc))
        self._disturb, self._tell = disturb or (lambda *_where: None), tell
        self.limit = dict(_compared.LIMIT, **(limit or {}))
        self.findings, self.host_id = [], ""
        self._manifests = {}

    def run(self, classes=()):
        """{repository: {"classes": {class: entry}}}; findings are in self.findings. classes: what to drill, all that is there without."""
        out = {}
        for source in self.repositories.values():
            # what an earlier drill left in a cache must not stand in for what the repository no longer has
            source.fresh(os.path.join(self.scratch.path, "cache"))
        for repository in sorted(self.repositories):
            try:
                found = self.repositories[repository].runs(self.host)
            except IntactError as exc:
                self._broken(exc, repository, "", "its snapshots could not be listed")
                out[repository] = {"classes": {name: {"result": "failed", "why": str(exc)} for name in classes}}
                continue
            out[repository] = {"classes": {name: self._class(repository, name, found.get(name, [])) for name in sorted(classes or found)}}
            if not classes and not found:
                self._find("drill.snapshot.missing", "blocker", repository, "", "", "holds no backup of %s at all" % self.host, "", "back the host up")
        self._hold_manifests_together(out)
        return out

    def _class(self, repository, name, found):
        """The proof's entry of one class from one repository."""
        self._tell("%s: %s" % (repository, name))
        begin = len(self.findings)
        entry = {"result": "unproven"}
        try:
            run = self._choose(repository, name, found)
            if run is not None:
                entry.update(run=run.run, snapshot=run.snapshot, taken=_snapshots.moment(run.taken).strftime("%Y-%m-%dT%H:%M:%SZ"))
                self._read_back(repository, run, entry)
        except IntactError as exc:
            self._broken(exc, repository, name, "could not be restored")
        mine = self.findings[begin:]
        entry["findings"] = len(mine)
        wrong = [finding for finding in mine if finding.severity == "blocker"]
        wrong.sort(key=lambda finding: finding.id == UNCOMPARED)
        if wrong:
            first = wrong[0]
            entry.update(result="unproven" if first.id == UNCOMPARED else "failed", why="%s: %s" % (first.subject, first.title))
        elif "manifest" in entry:
            entry["result"] = "proven"
        return entry

    def _choose(self, repository, name, found):
        run, broken = _snapshots.newest(found)
        for other in broken:
            self._find(
                "backup.snapshot.incomplete",
                "blocker" if run is None else "warning",
                repository,
                name,
                other.run,
                "this run never came to its end",
                "it has %d streams and no manifest" % len(other.streams),
                "see why it was cut, and back up again",
            )
        if run is None and not broken:
            self._find("drill.snapshot.missing", "blocker", repository, name, "", "there is no backup of it", "", "back it up")
        if run is not None and _snapshots.moment(run.taken) > self._now() + AHEAD:
            self._find("backup.clock", "blocker", repository, name, run.run, "the backup is from the future", "taken %s" % run.taken, "set the host's clock")
        return run

    def _read_back(self, repository, run, entry):
        manifest, digest = self.repositories[repository].manifest(run)
        entry.update(manifest=digest, counts=manifest.get("counts") or {})
        self._judge_manifest(repository, run, manifest, digest)
        if not any((data or {}).get("items") for data in manifest["sections"].values()):
            self._find(
                "backup.class.empty", "blocker", repository, run.name, "", "the manifest holds nothing: nothing was proven", "", "see what was backed up"
            )
        self.scratch.room(_scratch.size(manifest) + sum(int(stream["bytes"]) for stream in manifest.get("streams") or []) * 3)
        place = self.scratch.place("%s-%s" % ("".join(c if c.isalnum() else "_" for c in repository), run.name))
        servers = self._servers(os.path.join(place, "servers"))
        try:
            more = self._load(repository, run, manifest, servers, entry)
            tree = os.path.join(place, "tree")
            self._restore(repository, run, manifest, tree, entry)
            self._compare(repository, run, manifest, tree, more, entry)
        finally:
            servers.close()
            self.scratch.drop(place)

    def _restore(self, repository, run, manifest, tree, entry):
        begun = self._clock()
        if run.tree:
            try:
                self.repositories[repository].restore(run.snapshot, tree)
            except IntactError as exc:
                # what came all the same is compared, so that what is lost gets its name
                self._broken(exc, repository, run.name, "could not be restored whole")
            items = (manifest["sections"].get("files") or {}).get("items") or {}
            for path, why in _metadata.mend(os.fsencode(tree), items).items():
                self._find(
                    "drill.metadata", "blocker", repository, run.name, path, "its holes or flags could not be brought back", why, "see the scratch root's disk"
                )
            entry["bytes"] = sum(item.get("size", 0) for item in items.values() if item.get("type") == "file")
        entry["seconds"] = round(entry.get("seconds", 0) + self._clock() - begun, 1)
        self._disturb(repository, run.name, tree)

    def _load(self, repository, run, manifest, servers, entry):
        """Load every stream; {section: (before, after)} for what only a server can tell."""
        begun = self._clock()
        servers.identity = manifest.get("host_id") or ""
        for stream in _loading.ordered(manifest.get("streams") or []):
            held = _snapshots.stream_snapshot(run, stream)
            if held is None:
                self._find("drill.snapshot.missing", "blocker", repository, run.name, stream["name"], "its dump is not there", "", "back it up again")
                continue
            wrong = servers.load(self.repositories[repository], held, stream, int(_snapshots.moment(run.taken).timestamp()))
            if wrong:
                kind, title, evidence = wrong
                self._find(kind, "blocker", repository, run.name, stream["name"], title, evidence, "back it up again; a damaged repository: backup_check")
        for name, why, whole in servers.again():
            title = "a part of the dump was not taken" if whole else "the dump can't be loaded"
            self._find("drill.dump.unloadable", "warning" if whole else "blocker", repository, run.name, name, title, why, "dump it again")
        if manifest.get("streams"):
            entry["seconds"] = round(self._clock() - begun, 1)
        try:
            seen = servers.sections(manifest["sections"])
            for name, theirs, ours in servers.older:
                said = "%s was dumped, %s is on the drill host" % (theirs, ours)
                remedy = "drill on a host with at least that version: what is missing may only be unknown to this one"
                self._find("drill.server.older", "warning", repository, run.name, name, "the drill's server is older than the host's", said, remedy)
            return seen
        finally:
            entry["servers_seconds"] = round(self._clock() - begun, 1)

    def _compare(self, repository, run, manifest, tree, more, entry):
        begun = self._clock()
        files = manifest["sections"].get("files") or {}

        def view(_section):
            return _rooted.Rooted(os.path.realpath(tree), owners=files.get("owners"), groups=files.get("groups"))

        def late(before, after):
            paths = _late.differing(before, after)
            if not paths or not manifest.get("since"):
                return before, set()
            try:
                nodes = self.repositories[repository].entries(run.snapshot, _late.asked(paths))
            except IntactError:
                return before, set()  # then every difference is one
            return _late.told(before, after, paths, nodes, manifest["since"])

        findings, seen, blind, counted = _looks.compare(manifest["sections"], view, manifest.get("volatile") or (), more, late)
        for finding in findings:
            if finding.details.get("change") not in NO_LOSS:
                finding.severity = "blocker"
            finding.details.update({"repository": repository, "class": run.name, "object": finding.subject})
            finding.subject = _outcome.subject(repository, run.name, finding.subject)
        self.findings += findings
        entry.update(looked=seen, unlooked=blind, compared=counted.compared, uncompared=counted.uncompared, limit=dict(self.limit))
        self._tell_uncompared(repository, run.name, counted)
        entry["compare_seconds"] = round(self._clock() - begun, 1)
        self.host_id = self.host_id or manifest.get("host_id") or ""

    def _tell_uncompared(self, repository, name, counted):
        """A warning for what changed while it was backed up, and a blocker where too much of the class was not compared."""
        title = "changed while it was backed up: its content was not compared"
        remedy = "back it up by what writes it (a dump), or leave it out with a reason"
        if len(counted.changed) > LISTED:
            said = "%d, such as %s" % (len(counted.changed), _compared.named(counted.changed))
            self._find("backup.source.volatile", "warning", repository, name, "", title, said, remedy, paths=counted.changed[:1000])
        else:
            for subject in counted.changed:
                self._find("backup.source.volatile", "warning", repository, name, subject, title, "each time that it was read", remedy, paths=[subject])
        evidence, paths = _compared.too_much(counted, self.limit)
        if evidence:
            title = "too much of it was not compared to call it proven"
            remedy = (
                "see why it changes all the time: back up when less is written, by what writes it (a dump), or leave it out with a reason; then drill again. "
                "Where it has to be so, raise restore_drill_uncompared_percent"
            )
            self._find(UNCOMPARED, "blocker", repository, name, "", title, evidence, remedy, paths=paths[:1000], change="uncompared")

    def _judge_manifest(self, repository, run, manifest, digest):
        self._manifests.setdefault((run.name, run.run), {})[repository] = digest
        wrong = []
        if run.said and run.said != digest:
            wrong.append("the snapshot's tag says %s" % run.said)
        stated = (self.known.get(run.name) or {}).get(run.run)
        if stated and stated != digest:
            wrong.append("the host's state says %s" % stated)
        if manifest.get("run") != run.run or manifest.get("host") != self.host:
            wrong.append("it is of the run %s of %s" % (manifest.get("run"), manifest.get("host")))
        if wrong:
            self._tampered(repository, run.name, "%s; it is %s" % ("; ".join(wrong), digest))

    def _tampered(self, repository, name, evidence):
        title = "the manifest is not the one that the backup made"
        self._find(
            "drill.manifest.tampered", "blocker", repository, name, "manifest", title, evidence, "trust no backup of this run; find out who can write here"
        )

    def _hold_manifests_together(self, out):
        """The repositories must tell the same of one run: who changed a manifest in one place is told by the others."""
        for (name, run), digests in sorted(self._manifests.items()):
            if len(set(digests.values())) < 2:
                continue
            told = ", ".join("%s in %s" % (digest[:16], repository) for repository, digest in sorted(digests.items()))
            for repository in sorted(digests):
                self._tampered(repository, name, "the repositories differ about the run %s: %s" % (run, told))
                out[repository]["classes"][name].update(result="failed", why="the repositories hold different manifests of one run")

    def _broken(self, exc, repository, name, title):
        outcome = getattr(exc, "outcome", None)
        kind = _outcome.IDS.get(outcome.kind, "drill.failed") if outcome else "drill.scratch.unfit" if "needed" in exc.details else "drill.failed"
        remedy = _outcome.SENTENCES[outcome.kind][1] if outcome and outcome.kind in _outcome.SENTENCES else "repair what is named, and drill again"
        self._find(kind, "blocker", repository, name, "", title, str(exc), remedy)

    def _find(self, kind, severity, repository, name, subject, title, evidence, remedy, **details):
        where = _outcome.subject(repository, name, subject)
        more = dict({"repository": repository, "class": name, "object": subject, "change": "missing" if severity == "blocker" else ""}, **details)
        self.findings.append(Finding(id=kind, severity=severity, subject=where, title=title, evidence=evidence, remedy=remedy, check="PF33", details=more))
