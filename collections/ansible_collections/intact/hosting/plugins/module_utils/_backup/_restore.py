# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Carry out a restore plan: step by step, each repeatable, what is overwritten kept aside, and at the end compared with the manifest."""

from __future__ import annotations

import concurrent.futures
import json
import os
import shutil
import threading
import time

from ansible_collections.intact.hosting.plugins.module_utils._backup import _identity, _live, _metadata, _placing, _restore_plan
from ansible_collections.intact.hosting.plugins.module_utils._baseline import files as files_probe
from ansible_collections.intact.hosting.plugins.module_utils._command import run as run_command
from ansible_collections.intact.hosting.plugins.module_utils._files import append_durable, read_if_exists, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

RESTORES = "/var/lib/intact/restores"
STAGING = ".intact-restore-"
# The steps that sites are: several at once. All others one by one, in order.
TOGETHER = "site"


class Journal:
    """What was done, one line each, so that a cut restore goes on where it was: {step, stage, ...}."""

    def __init__(self, directory):
        self.path, self._lock = os.path.join(directory, "journal.jsonl"), threading.Lock()
        self.events = []
        for line in (read_if_exists(self.path) or b"").splitlines():
            try:
                self.events.append(json.loads(line))
            except ValueError:
                continue  # torn by a power cut: that stage is done again

    def add(self, step, stage, **more):
        """Remember that a stage of a step is done."""
        event = dict(more, step=step, stage=stage, time=time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()))
        with self._lock:
            self.events.append(event)
            append_durable(self.path, json.dumps(event, sort_keys=True).encode("utf-8", "backslashreplace"))

    def has(self, step, stage):
        """Whether a stage of a step is done."""
        return any(event["step"] == step and event["stage"] == stage for event in self.events)


class Restore:
    """plan: of _restore_plan.plan(). backup: its Backup. view: a System. reload: units that are reloaded after each site (those that run).

    parallel: how many sites at once. root, etc: other places for tests. engines: _live.Databases or the like.
    """

    def __init__(self, plan, backup, view, directory, reload=(), parallel=2, keep=(), engines=None, root=b"/", etc="/etc", tell=lambda _line: None):
        self.plan, self.backup, self.view, self.directory = plan, backup, view, directory
        self.reload, self.parallel, self.keep = list(reload), max(1, int(parallel)), list(keep)
        self.root, self.etc, self._tell = os.fsencode(root), etc, tell
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.journal = Journal(directory)
        self.engines = engines or _live.Databases(view, os.path.join(directory, "aside"))
        self.ids = _metadata.Ids(plan["identity"]["users"], plan["identity"]["groups"])
        self.findings, self.times, self._begun = [], {}, time.monotonic()

    def run(self):
        """Do every step; True when something was changed. Findings of the comparison are in self.findings, seconds until a step was done in self.times."""
        before = len(self.journal.events)
        waiting = list(self.plan["steps"])
        while waiting:
            batch = [waiting.pop(0)]
            while batch[0]["kind"] == TOGETHER and waiting and waiting[0]["kind"] == TOGETHER:
                batch.append(waiting.pop(0))
            if len(batch) == 1:
                self._step(batch[0])
                continue
            with concurrent.futures.ThreadPoolExecutor(max_workers=self.parallel) as pool:
                for done in [pool.submit(self._step, step) for step in batch]:
                    done.result()
        self._finish()
        return len(self.journal.events) > before

    def _step(self, step):
        name = step["name"]
        if not self.journal.has(name, "done"):
            self._tell(name)
            if step["kind"] == "accounts":
                _identity.apply(self.plan["identity"], self.etc, os.path.join(self.etc, ".pwd.lock"))
            for number, part in enumerate(step["parts"]):
                self._part(step, number, part)
            for stream in step["streams"]:
                self._stream(name, stream["name"])
            if step["kind"] == TOGETHER:
                self._reload()
            self.journal.add(name, "done")
        self.times[name] = round(time.monotonic() - self._begun, 1)

    def _part(self, step, number, part):
        label = "%s %d" % (step["name"], number)
        if self.journal.has(label, "placed"):
            return
        wanted = _restore_plan.part_items(self.backup, part, self.ids)
        for device, paths in sorted(self._by_device(part["paths"]).items()):
            staging = os.path.join(device, STAGING + self.plan["id"], "".join(c if c.isalnum() else "_" for c in label)[:100])
            self._restored(label, part, paths, staging, wanted)
            # looked at now, not when the plan was made: a site's owner may have worked meanwhile
            now = _restore_plan.live(self.view, paths)["items"]
            known = {p: i for p, i in wanted["items"].items() if any(p == t or p.startswith(t + "/") for t in paths)}
            same = _restore_plan.changes(known, now, 0, self.view)["same"]
            placer = _placing.Placer(staging, os.path.join(self.directory, "aside"), same, self._kept(step, known), self.root)
            modes = self._modes(part["class"])
            for path in paths:
                placer.place(unescape(path), modes)
            self.journal.add(label, "moved", placed=placer.placed, overwritten=placer.overwritten)
            _metadata.free(staging)
            shutil.rmtree(staging)
        failed = _metadata.mend(self.root, wanted["items"], holes=False)
        for path, why in failed.items():
            self._find("restore.metadata", step["name"], path, "its flags could not be set", why)
        self.journal.add(label, "placed")

    def _restored(self, label, part, paths, staging, wanted):
        """The part below staging, as whole as the backup has it, with the owners that it has here."""
        stage = "restored " + staging
        if self.journal.has(label, stage) and os.path.isdir(staging):
            return
        if os.path.isdir(staging):
            _metadata.free(staging)
            shutil.rmtree(staging)
        os.makedirs(staging, mode=0o700)
        run = self.backup.runs[part["class"]]
        self.backup.source.restore(run.snapshot, staging, [os.fsdecode(unescape(path)) for path in paths])
        _metadata.renumber(staging, self.ids)
        for path, why in _metadata.mend(os.fsencode(staging), wanted["items"], marks=False).items():
            self._find("restore.metadata", label, path, "its holes could not be dug", why)
        self.journal.add(label, stage)

    def _by_device(self, paths):
        """{mount point: paths}: a tree is restored on the filesystem that it belongs to, so that it can be moved into place whole."""
        out = {}
        for path in paths:
            place = os.path.realpath(self.root.rstrip(b"/") + os.path.dirname(unescape(path)))
            while not os.path.isdir(place):
                place = os.path.dirname(place)
            device = os.stat(place).st_dev
            while place != b"/" and os.stat(os.path.dirname(place)).st_dev == device and place != self.root.rstrip(b"/"):
                place = os.path.dirname(place)
            out.setdefault(os.fsdecode(place), []).append(path)
        return out

    def _kept(self, step, known):
        return set(step.get("kept") or []) | {path for path in known if _restore_plan._named(path, self.keep)}

    def _modes(self, name):
        """{directory: (uid, gid, mode)} as the backup knows them."""
        data = self.ids.data(self.backup.files(name))
        return {unescape(p): (i["uid"], i["gid"], int(i["mode"], 8)) for p, i in data.get("items", {}).items() if i["type"] == "dir"}

    def _stream(self, step, name):
        label = "database " + name
        if self.journal.has(label, "loaded"):
            return
        klass, stream = self.backup.streams()[name]
        held = _restore_plan._snapshots.stream_snapshot(self.backup.runs[klass], stream)
        if held is None:
            raise IntactError("the dump of %s is not in %s" % (name, self.backup.source.name))
        if not self.journal.has(label, "aside"):
            self._tell(label)
            self.engines.put_aside(name)
            self.journal.add(label, "aside")
        passing = self.backup.source.stream(held[1], held[0])
        try:
            refused = self.engines.load(name, passing.stdout)
        finally:
            passing.finish()
        wrong = passing.wrong(stream)
        if wrong:
            raise IntactError("%s: %s: %s" % (name, wrong[1], wrong[2]))
        for sentence in refused:
            self._find("restore.database.partly", step, name, "the server refused a part of the dump", sentence, "warning")
        self.journal.add(label, "loaded")

    def _reload(self):
        for unit in self.reload:
            if run_command(["systemctl", "is-active", "--quiet", unit], check=False).rc == 0:
                result = run_command(["systemctl", "reload-or-restart", unit], check=False)
                if result.rc:
                    self._find("restore.reload", unit, "", "could not be reloaded", result.error)

    def _finish(self):
        """Hold the host against the manifests, and take the staging directories away."""
        for step in self.plan["steps"]:
            for part in step["parts"]:
                wanted = _restore_plan.part_items(self.backup, part, self.ids)
                now = _restore_plan.live(self.view, part["paths"])
                kept = self._kept(step, wanted["items"])
                before = {"items": _clean(wanted["items"], kept), "owners": wanted.get("owners", {}), "groups": wanted.get("groups", {})}
                after = dict(now, items={path: item for path, item in _clean(now["items"], kept).items() if path in before["items"]})
                for finding in files_probe.compare(before, after):
                    finding.details.update({"step": step["name"], "class": part["class"]})
                    self.findings.append(finding)
            for stream in step["streams"]:
                klass, _stream = self.backup.streams()[stream["name"]]
                items = (self.backup.manifests[klass]["sections"].get("databases") or {}).get("items") or {}
                self.findings += self.engines.compare(stream["name"], items)
        for place in {device for step in self.plan["steps"] for part in step["parts"] for device in self._by_device(part["paths"])}:
            staging = os.path.join(place, STAGING + self.plan["id"])
            if os.path.isdir(staging) and not os.listdir(staging):
                os.rmdir(staging)

    def _find(self, kind, step, subject, title, evidence, severity="blocker"):
        self.findings.append(
            Finding(
                id=kind,
                severity=severity,
                subject=" ".join(part for part in (step, subject) if part),
                title=title,
                evidence=evidence,
                remedy="repair what is named and run the restore again: it goes on where it was",
                details={"step": step, "change": "changed"},
            )
        )


def _clean(items, kept):
    """Items without what is told by the package database, and without what the operator keeps."""
    return {path: {k: v for k, v in item.items() if k not in _restore_plan.LESS} for path, item in items.items() if path not in kept}
