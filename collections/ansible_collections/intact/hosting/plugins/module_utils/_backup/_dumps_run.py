# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A class of streams: each database flows once into every repository while its own transaction is looked at; then the paths, if any, and the manifest."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._backup import _manifest, _outcome, _paths_run, _stream, databases
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

ROOT = "/intact/"


class DumpsRun(_paths_run.PathsRun):
    """See PathsRun. The manifest's snapshot is the last one: a run that was cut has none, and so does not count."""

    def __init__(self, run, name, module, options):
        super().__init__(run, name, module, options)
        self.seen, self.found = {}, []
        # {repository: [outcome that was not good]}
        self.broken = {repository: [] for repository in run.restic}
        self._unasked = []

    def go(self):
        """As PathsRun.go(): streams first, so that the manifest tells of them."""
        wished = self.module.dumps(self.system, dict(self.options))
        self._unasked, self.system.unlooked = self.system.unlooked, []
        self.run.ready()
        for number, (name, opener) in enumerate(wished):
            self.run.progress.stage(self.name, "dump %d of %d" % (number + 1, len(wished)), name)
            try:
                self._dump(name, opener)
            except IntactError as exc:
                self.found.append(_manifest.dump_failed(self.name, name, str(exc)))
        manifest, digest, results, findings = super().go()
        for repository, outcomes in self.broken.items():
            for outcome in outcomes:
                results[repository].held = getattr(results[repository], "held", []) + outcome.findings(repository, self.name, outcome.what)
        return manifest, digest, results, findings + self.found

    def look(self):
        """What the paths hold, and what the dumps saw of their databases."""
        super().look()
        self._merge()

    def reread(self, changed):
        """As PathsRun.reread(); dumps are of their own moment and stay."""
        super().reread(changed)
        self._merge()

    def _merge(self):
        if self.streams or self.name == databases.NAME:
            self.sections["databases"] = databases.merged(self.seen)
        self.system.unlooked = self._unasked + [entry for entry in self.system.unlooked if entry not in self._unasked]

    def _dump(self, name, opener):
        """One dump into every repository. Nobody keeps one that is not whole."""
        with opener() as dump:
            items = dump.section()
            # A view whose definer is gone is as broken on the host as in the dump: told, and no reason to throw the rest away.
            views = sorted(subject for subject, item in items.items() if item.get("error") and item["kind"] == "view")
            wrong = sorted("%s: %s" % (subject, item["error"]) for subject, item in items.items() if item.get("error") and subject not in views)
            if wrong:
                raise IntactError("it can't be read whole: " + "; ".join(wrong[:3]))
            consumers = {repository: self._consumer(repository, dump.path) for repository in self.run.restic}

            def ended(tail, count):
                status = dump.process.wait()
                if status != 0:
                    return "the dump ended with status %s: %s" % (status, dump.said()[-500:])
                return "" if dump.complete(tail) else "its last line is missing after %d bytes: it is cut off" % count

            passed = _stream.tee(dump.process.stdout, consumers, ended, lambda count: self.run.progress.moved({"bytes": count}))
            self.volatile |= set(dump.volatile)
            rules = list(dump.rules)
        if not passed.whole:
            kind = "dump.truncated" if "cut off" in passed.why else "dump.failed"
            self.found.append(_manifest.dump_failed(self.name, name, passed.why, kind))
        else:
            self.seen.update(items)
            self.streams.append({"name": name, "path": dump.path, "sha256": passed.sha256, "bytes": passed.bytes, "rules": rules})
            self.found += [_manifest.view_broken(self.name, view, items[view]["error"]) for view in views]
            if rules:
                self.found.append(_manifest.dump_inexact(self.name, name, rules))
        for repository, outcome in passed.outcomes.items():
            if passed.whole and not outcome.ok:
                outcome.what = name
                self.broken[repository].append(outcome)

    def _consumer(self, repository, path):
        try:
            return self.run.restic[repository].stdin(ROOT + path, self.run.tags(self.name), self.run.job["host"])
        except _outcome.ResticError as exc:
            return exc
        except IntactError as exc:
            return _outcome.ResticError(_outcome.Outcome("failed", -1, str(exc)), repository, "starting")
