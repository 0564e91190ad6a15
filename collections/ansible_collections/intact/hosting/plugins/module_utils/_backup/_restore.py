# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Carry out a restore plan: step by step, each repeatable, what is overwritten kept aside, each held against the manifest when it is done."""

from __future__ import annotations

import concurrent.futures
import contextlib
import hashlib
import os
import shutil
import threading
import time

from ansible_collections.intact.hosting.plugins.module_utils._backup import (
    _identity,
    _live,
    _metadata,
    _placing,
    _restore_journal,
    _restore_plan,
    _restore_services,
    _restore_streams,
    _restore_told,
)
from ansible_collections.intact.hosting.plugins.module_utils._baseline import files as files_probe
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

RESTORES = "/var/lib/intact/restores"
STAGING = ".intact-restore-"
# The steps that sites are: several at once. All others one by one, in order.
TOGETHER = "site"


class Restore:
    """plan: of _restore_plan.plan(). backup: its Backup. view: a System. services: a _restore_services.Services.

    parallel: how many sites at once. keep, accept: as of the plan; what became newer since the plan was made stays unless accept names it.
    root, etc: other places for tests. engines: _live.Databases or the like.
    """

    def __init__(
        self, plan, backup, view, directory, services=None, parallel=2, keep=(), accept=(), engines=None, root=b"/", etc="/etc", tell=lambda _line: None
    ):
        self.plan, self.backup, self.view, self.directory = plan, backup, view, directory
        self.services = services or _restore_services.Services()
        self.parallel, self.keep = max(1, int(parallel)), list(keep)
        self.root, self.etc, self._tell = os.fsencode(root), etc, tell
        os.makedirs(directory, mode=0o700, exist_ok=True)
        self.journal = _restore_journal.Journal(directory)
        self.engines = engines or _live.Databases(view, os.path.join(directory, "aside"), self._file_item)
        self.ids = _metadata.Ids(plan["identity"]["users"], plan["identity"]["groups"])
        self.told = _restore_told.Told(accept)
        names = {stream["name"] for step in plan["steps"] for stream in step["streams"]}
        self.streams = _restore_streams.Streams(backup, view, self.engines, self.journal, self.told, names, keep, tell)
        self.findings, self.times, self._begun, self._served = self.told.findings, {}, time.monotonic(), threading.Lock()
        self.stopped = sorted({unit for step in plan["steps"] if not self.journal.has(step["name"], "done") for unit in self._down(step)})

    def run(self):
        """Do every step; True when something was changed. Findings are in self.findings, seconds until a step was done in self.times.

        self.stopped: units that are down because of a step that was cut.
        """
        before, failed = len(self.journal.events), self.journal.failed()
        waiting = list(self.plan["steps"])
        while waiting:
            batch = [waiting.pop(0)]
            while batch[0]["kind"] == TOGETHER and waiting and waiting[0]["kind"] == TOGETHER:
                batch.append(waiting.pop(0))
            with concurrent.futures.ThreadPoolExecutor(max_workers=self.parallel) as pool:
                for done in [pool.submit(self._step, step) for step in batch]:
                    done.result()
        if not self.journal.has("finish", "done") and any(step["kind"] in ("settings", "class") for step in self.plan["steps"]):
            self._units(self.services.finish(), "reloaded", "finish")
            self.journal.add("finish", "done")
        for unit, event in failed.items():
            wrong = self.services.retry(unit, event["what"])
            self._units(wrong, event["what"], event["step"])
            if not wrong:
                self.journal.add(event["step"], "mended", unit=unit)
        self._tidy()
        return len(self.journal.events) > before

    def _step(self, step):
        name, kind = step["name"], step["kind"]
        if self.journal.has(name, "done"):
            if kind == "accounts":
                self._missing()
            elif (self.journal.last(name, "compared") or {"differing": 1})["differing"]:
                self._compared(step, self._differing(step, step["parts"], step["streams"]))
        else:
            self._tell(name)
            self._stop(step)
            if kind == "accounts":
                _identity.apply(self.plan["identity"], self.etc, os.path.join(self.etc, ".pwd.lock"))
                self._missing()
            # what makes a site served comes last, and no other site's reload may find a half of it
            last = [part for part in step["parts"] if kind == TOGETHER and part["class"] == "system"]
            first = [part for part in step["parts"] if part not in last]
            placed = [self._part(step, part) for part in first]
            for stream in step["streams"]:
                self.streams.load(step, stream)
            if kind == "settings" and any(placed):
                self._units(self.services.restart(), "restarted", name)
            # before a service or a customer may write to it again
            found = self._differing(step, first, step["streams"])
            with self._served:
                placed += [self._part(step, part) for part in last]
                found += self._differing(step, last)
                if kind == TOGETHER:
                    self._units(self.services.reload(), "reloaded", name)
            self._compared(step, found)
            self._start(step)
            if kind == "jobs":
                self._units(self.services.begin(self._timers(step)), "started", name)
            self.journal.add(name, "done")
        self.times[name] = round(time.monotonic() - self._begun, 1)

    def _missing(self):
        for kind, rows in self.plan["identity"]["rows"].items():
            there = _identity.table((read_if_exists(os.path.join(self.etc, kind)) or b"").decode("utf-8", "surrogateescape"), kind)
            for name in sorted(row.split(":", 1)[0] for row in rows):
                if name not in there:
                    self.told.find("restore.account.missing", "accounts", name, "the account was written to %s and is not there" % kind, "")

    def _timers(self, step):
        paths = [path for part in step["parts"] for path in part["paths"]]
        return sorted({os.path.basename(path) for path in paths if path.endswith(".timer") and ".wants/" in path})

    def _stop(self, step):
        if step["kind"] == "class" and step["name"] in self.services.while_class:
            running = self.services.running(step["name"])
            if running:
                # before: who is cut between the two must not leave one of them stopped for ever
                self.journal.add(step["name"], "stopped", units=running)
            self.stopped += [unit for unit in self._down(step) if unit not in self.stopped]
            wrong = self.services.stop(running)
            if wrong:
                raise IntactError("%s could not be stopped, and writes to what is to be restored: %s" % wrong[0])

    def _down(self, step):
        return sorted({unit for event in self.journal.events if event["step"] == step["name"] and event["stage"] == "stopped" for unit in event["units"]})

    def _start(self, step):
        units = self._down(step)
        self._units(self.services.start(units), "started", step["name"])
        self.stopped = [unit for unit in self.stopped if unit not in units]

    def _part(self, step, part):
        """Whether anything was put in place."""
        label = "%s %d" % (step["name"], step["parts"].index(part))
        if self.journal.has(label, "placed"):
            return bool(self.journal.last(label, "placed").get("entries"))
        wanted, entries, newer = _restore_plan.part_items(self.backup, part, self.ids), 0, []
        for device, paths in sorted(self._by_device(part["paths"]).items()):
            # two labels are two directories: sites are restored side by side
            own = "%s-%s" % ("".join(c if c.isalnum() else "_" for c in label)[:100], hashlib.sha256(label.encode("utf-8", "surrogateescape")).hexdigest()[:12])
            staging = os.path.join(device, STAGING + self.plan["id"], own)
            # a run that was cut may have placed some of it
            entries += self.journal.has(label, "restored " + staging)
            self._restored(label, part, paths, staging, wanted)
            # looked at now, not when the plan was made: a site's owner may have worked meanwhile
            now = _restore_plan.live(self.view, paths)["items"]
            known = {p: i for p, i in wanted["items"].items() if any(p == t or p.startswith(t + "/") for t in paths)}
            told = _restore_plan.changes(known, now, _restore_plan.taken(self.backup, part["class"]), self.view)
            kept = self._kept(step, known) | self.streams.files()
            late = [path for path in told["newer"] if path not in kept and not self.told.accepted(step, path)]
            placer = _placing.Placer(staging, os.path.join(self.directory, "aside"), told["same"], kept | set(late), self.root)
            modes = _placing.Modes(self.backup, part["class"], self.ids)
            for path in paths:
                placer.place(unescape(path), modes)
            self.journal.add(label, "moved", placed=placer.placed, overwritten=placer.overwritten)
            entries += placer.placed
            newer += late
            _metadata.free(staging)
            shutil.rmtree(staging)
        self.told.newer(step, newer)
        failed = _metadata.mend(self.root, wanted["items"], holes=False)
        for path, why in failed.items():
            self.told.find("restore.metadata", step["name"], path, "its flags could not be set", why)
        self.journal.add(label, "placed", entries=entries)
        return bool(entries)

    def _restored(self, label, part, paths, staging, wanted):
        """The part below staging, as whole as the backup has it, with the owners and the paths that it has here."""
        stage = "restored " + staging
        if self.journal.has(label, stage) and os.path.isdir(staging):
            return
        if os.path.isdir(staging):
            _metadata.free(staging)
            shutil.rmtree(staging)
        os.makedirs(staging, mode=0o700)
        run, older = self.backup.runs[part["class"]], part.get("from", {})
        self.backup.source.restore(run.snapshot, staging, [os.fsdecode(unescape(older.get(path, path))) for path in paths])
        for path in paths:
            if path in older and os.path.lexists(os.fsencode(staging) + unescape(older[path])):
                place = os.fsencode(staging) + unescape(path)
                os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
                os.rename(os.fsencode(staging) + unescape(older[path]), place)
        for path in wanted.get("left", []):
            if any(path.startswith(top + "/") for top in paths):
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(os.fsencode(staging) + unescape(path))
        _metadata.renumber(staging, self.ids)
        for path, why in _metadata.mend(os.fsencode(staging), wanted["items"], marks=False).items():
            self.told.find("restore.metadata", label, path, "its holes could not be dug", why)
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
        return set(step.get("kept") or []) | {path for path in known if _restore_plan.named(path, self.keep)}

    def _file_item(self, name):
        """What a manifest says of the file that a database is."""
        path = _live.is_file(name) and name.partition(":")[2]
        for holder in self.backup.holders(path) if path else []:
            item = self.backup.files(holder)["items"].get(path)
            if item:
                return self.ids.data({"items": {path: item}})["items"][path]
        return None

    def _units(self, wrong, what, step=""):
        for unit, why in wrong:
            if unit not in self.journal.failed():
                self.journal.add(step, "unit", unit=unit, what=what)
            self.told.find("restore.unit", step, unit, "could not be %s" % what, why)

    def _differing(self, step, parts, streams=()):
        """Findings of what is on the host now against the manifests. The rights of accounts are looked at when all that they are about is there."""
        found = []
        for part in parts:
            wanted = _restore_plan.part_items(self.backup, part, self.ids)
            now = _restore_plan.live(self.view, part["paths"])
            kept = self._kept(step, wanted["items"]) | self.streams.files()
            before = {"items": _clean(wanted["items"], kept), "owners": wanted.get("owners", {}), "groups": wanted.get("groups", {})}
            after = dict(now, items={path: item for path, item in _clean(now["items"], kept).items() if path in before["items"]})
            for finding in files_probe.compare(before, after):
                finding.details.update({"step": step["name"], "class": part["class"]})
                found.append(finding)
        for stream in streams if step["kind"] != "accounts" else ():
            if _restore_plan.stays(stream["name"], self.keep):
                continue
            found += self.engines.compare(stream["name"], self.backup.manifests[stream["class"]])
        return found

    def _compared(self, step, found):
        """A step that was found whole is not looked at again."""
        self.findings += found
        last, differing = self.journal.last(step["name"], "compared"), sum(finding.severity == "blocker" for finding in found)
        if not last or last["differing"] != differing:
            self.journal.add(step["name"], "compared", differing=differing)

    def _tidy(self):
        """Take the staging directories away."""
        for place in {device for step in self.plan["steps"] for part in step["parts"] for device in self._by_device(part["paths"])}:
            staging = os.path.join(place, STAGING + self.plan["id"])
            if os.path.isdir(staging) and not os.listdir(staging):
                os.rmdir(staging)


def _clean(items, kept):
    """Items without what is told by the package database, and without what the operator keeps."""
    return {path: {k: v for k, v in item.items() if k not in _restore_plan.LESS} for path, item in items.items() if path not in kept}
