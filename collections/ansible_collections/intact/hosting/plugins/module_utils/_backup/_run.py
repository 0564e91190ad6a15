# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""One run: every class that is in use, into every repository; what fails in one does not stop the others, and the run's result is the worst."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import time
import traceback

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._backup import _dumps_run, _files_cache, _greet, _manifest, _outcome, _paths_run, _progress
from ansible_collections.intact.hosting.plugins.module_utils._backup._classes import CLASSES
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document, read_if_exists, write_atomic, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError, gate, parse_time

HOME = "/var/lib/intact/backup"
RESUME_HOURS = 24
SKEW = 60


class Busy(IntactError):
    """Another run works on this host."""


class Run:
    """job: checked (see _job). restic: {repository: Restic}. record(klass, repository, entry): puts an outcome into the state."""

    def __init__(self, job, system, restic, record, home=HOME, clock=time.time, monotonic=time.monotonic):
        self.job, self.system, self.restic, self.record, self.home = job, system, restic, record, home
        self._clock, self._monotonic = clock, monotonic
        self.host_id = (system.read("/etc/machine-id") or b"").decode("ascii", "replace").strip()
        self.id, self.progress, self.findings = "", None, []
        # {repository, "" for the host itself: what is wrong with the clock}
        self._skewed = {}
        self._greetings = []

    # what the parts of a run ask of it

    def wall_ns(self):
        """The wall clock in nanoseconds, as inodes are stamped with it."""
        return int(self._clock() * 1e9)

    def moment(self):
        """Now, as documents tell it."""
        return _flight.now()

    def write_directory(self, directory, contents):
        """Replace a directory of generated files by contents {name: bytes}; what is the same stays as it is."""
        os.makedirs(directory, mode=0o700, exist_ok=True)
        for name in set(os.listdir(directory)) - set(contents):
            path = os.path.join(directory, name)
            shutil.rmtree(path) if os.path.isdir(path) and not os.path.islink(path) else os.unlink(path)
        for name, data in contents.items():
            if read_if_exists(os.path.join(directory, name)) != data:
                write_atomic(os.path.join(directory, name), data)

    def write_manifest(self, manifest):
        """(path, sha256) of the manifest where the snapshot takes it from."""
        packed, digest = _manifest.pack(manifest)
        path = os.path.join(self.home, "manifests", manifest["class"] + ".json.gz")
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        write_atomic(path, packed)
        return path, digest

    def files_cache(self, klass, days):
        """What earlier runs read of a class's files."""
        return _files_cache.FilesCache(os.path.join(self.home, "files-cache", klass), days, self.wall_ns())

    def tags(self, klass, *more):
        """The tags of a snapshot."""
        return ["intact", "class:" + klass, "run:" + self.id] + list(more)

    def into_all(self, klass, paths, excludes, digest, parents=None):
        """{repository: Outcome} of one snapshot of the paths in each repository."""
        self.ready()
        out = {}
        for name, restic in self.restic.items():
            self.progress.stage(klass, "backing up", name)
            try:
                more = {"parent": parents[name]} if (parents or {}).get(name) else {}
                out[name] = restic.backup(
                    paths, self.tags(klass, "manifest:" + digest), self.job["host"], excludes=excludes, progress=self.progress.moved, **more
                )
            except _outcome.ResticError as exc:
                out[name] = exc.outcome
            except IntactError as exc:
                out[name] = _outcome.Outcome("failed", -1, str(exc))
        return out

    # the run itself

    def go(self, classes):
        """Back up these classes ([]: all that are enabled). Returns the run's document; its status is ok, findings or failed."""
        with self._locked():
            wanted = [name for name in CLASSES if (not classes or name in classes) and self.job["classes"][name]["enabled"] is not False]
            self._begin(wanted)
            try:
                self._greet()
                began = self._clock() - self._monotonic()
                for name in wanted:
                    if name not in self.progress.document["done"]:
                        self._class(name)
                    drift = abs(self._clock() - self._monotonic() - began)
                    if drift > SKEW:
                        self._skew("", [_clock_finding("was set by %d s while the backup ran" % drift)])
                        began = self._clock() - self._monotonic()
                self.ready()
            except BaseException as exc:
                self.progress.write(status="failed", ended=self.moment(), stage="", error="%s: %s" % (type(exc).__name__, exc))
                raise
            return self._end()

    def _locked(self):
        os.makedirs(self.home, mode=0o700, exist_ok=True)
        handle = open(os.path.join(self.home, "lock"), "a+b")  # noqa: SIM115 - its owner closes it, and the lock with it
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            handle.close()
            raise Busy("a backup works on this host: wait for its end, or read its progress in %s/runs" % self.home) from None
        return handle

    def _begin(self, wanted):
        """A new run, or the one that was killed in the middle: what it had finished is not done again."""
        directory = os.path.join(self.home, "runs")
        last = (_progress.runs(directory) or [None])[-1]
        cut = _progress.cut(directory)
        if last and parse_time(last["updated"]).timestamp() > self._clock() + SKEW:
            self._skew("", [_clock_finding("says %s, and the last run here ended at %s" % (self.moment(), last["updated"]))])
            cut = None
        recent = cut and self._clock() - parse_time(cut["began"]).timestamp() < RESUME_HOURS * 3600
        self.id = (
            cut["run"]
            if recent and cut["classes"] == wanted
            else "%s-%s" % (_flight.now()[:19].replace("-", "").replace(":", "").lower() + "z", secrets.token_hex(2))
        )
        self.progress = _progress.start(directory, self.id, self.job["host"], wanted)
        if cut and cut["run"] != self.id:
            write_document(os.path.join(directory, cut["run"] + ".json"), dict(cut, status="killed"))
        elif cut:
            self.progress.document.update(began=cut["began"], resumed=True, findings=cut["findings"])
            whole = {name: done for name, done in cut["done"].items() if set(done) == set(self.restic)}
            self.progress.write(done=whole)
            self.findings += [Finding.from_dict(finding) for finding in cut["findings"]]
        _progress.tidy(directory)

    def _greet(self):
        """Begin to speak with every repository while the first look goes on; ready() waits for it."""
        self._greetings = [(name, _greet.Greeting(restic, self.job["host"], self._clock)) for name, restic in self.restic.items()]

    def ready(self):
        """Before anything is backed up: dead locks of this host are away, and its clock was held against each repository's server and newest snapshot."""
        while self._greetings:
            name, greeting = self._greetings.pop(0)
            findings, error = greeting.wait()
            self._skew(name, findings)
            if error:
                # backing up will say the same with the class's name; a lock that is left does not keep a backup from its work
                self.progress.write(error=error)

    def _skew(self, name, findings):
        """What is dated wrong is no good backup: nobody would find it to be old. The run says so, and of each class the state."""
        self.findings += findings
        self._skewed.setdefault(name, []).extend(findings)

    def options(self, name):
        """A class's settings, and for the class files what others take."""
        options = dict(self.job["classes"][name])
        if name == "files":
            options["taken"] = [
                entry
                for other, module in CLASSES.items()
                if hasattr(module, "taken") and self._enabled(other)
                for entry in module.taken(self.system, self.job["classes"][other])
            ]
        return options

    def _enabled(self, name):
        wish = self.job["classes"][name]["enabled"]
        return wish is True or (wish == "auto" and CLASSES[name].in_use(self.system))

    def _class(self, name):
        module = CLASSES[name]
        self.system.unlooked = []
        if not module.in_use(self.system):
            if self.job["classes"][name]["enabled"] is True:
                self.findings.append(_manifest.not_in_use(name))
            self.progress.done(name, "", {"result": "not in use"})
            return
        self.progress.stage(name, "looking")
        try:
            kind = _dumps_run.DumpsRun if hasattr(module, "dumps") else _paths_run.PathsRun
            manifest, digest, results, findings = kind(self, name, module, self.options(name)).go()
            findings += _manifest.judge(manifest, self._previous(name), self.job["classes"][name], module.EXPECTED)
            findings += module.judged(self.system, self.job["classes"][name]) if hasattr(module, "judged") else []
            self._remember(name, manifest, findings)
        except Exception as exc:  # pylint: disable=broad-except  # whatever befalls one class: the state tells of it, the others get their turn
            expected = isinstance(exc, IntactError)
            why = str(exc) if expected else "%s: %s" % (type(exc).__name__, exc)
            if not expected:
                traceback.print_exc()
            manifest, digest, findings = None, "", [_manifest.class_failed(name, why)]
            results = {repository: _outcome.Outcome("failed", -1, why) for repository in self.restic}
        self.findings += findings
        for repository, outcome in results.items():
            own = outcome.findings(repository, name) if manifest else []
            own += getattr(outcome, "held", [])
            self.findings += own
            own += self._skewed.get("", []) + self._skewed.get(repository, [])
            entry = {"run": self.id, "taken": self.moment(), "snapshot": outcome.snapshot, "manifest": digest, "counts": manifest["counts"] if manifest else {}}
            entry.update(
                result=self._result(outcome, own + findings), findings=[finding.as_dict() for finding in own + findings], seconds=round(outcome.seconds, 1)
            )
            entry["bytes"] = int(outcome.summary.get("total_bytes_processed") or 0)
            self.record(name, repository, entry)
            self.progress.document["findings"] = [finding.as_dict() for finding in self.findings]
            self.progress.done(name, repository, {key: entry[key] for key in ("snapshot", "result", "manifest", "counts", "seconds")})

    def _result(self, outcome, findings):
        """ok | partial | failed: of one class in one repository, as the state knows them."""
        if not outcome.snapshot or outcome.kind not in ("ok", "partial"):
            return "failed"
        return "ok" if outcome.ok and gate(findings, self.job["waivers"])["go"] else "partial"

    def _previous(self, name):
        try:
            return read_document(os.path.join(self.home, "manifests", name + ".counts.json"))
        except (OSError, ValueError):
            return {}

    def _remember(self, name, manifest, findings):
        """What later runs are held against: only numbers that were found good, or that somebody answers for."""
        if gate([finding for finding in findings if finding.id.startswith("backup.class.")], self.job["waivers"])["go"]:
            document = {"run": self.id, "counts": manifest["counts"], "objects": manifest["objects"]}
            write_document(os.path.join(self.home, "manifests", name + ".counts.json"), document)

    def _end(self):
        verdict = gate(self.findings, self.job["waivers"])
        worst = {entry["result"] for done in self.progress.document["done"].values() for entry in done.values()}
        status = "failed" if "failed" in worst else "ok" if verdict["go"] else "findings"
        self.progress.write(status=status, ended=self.moment(), stage="", repository="", findings=verdict["findings"], counts=verdict["counts"])
        return self.progress.document


def _clock_finding(evidence):
    return Finding(
        id="backup.clock",
        severity="blocker",
        subject="clock",
        title="the host's clock can't be right",
        evidence="it " + evidence,
        remedy="set it (timedatectl set-ntp true), then back up again",
    )
