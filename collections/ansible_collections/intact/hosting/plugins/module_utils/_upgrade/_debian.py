# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Debian's engine: how each stage of _stages is done with apt and dpkg, in the order of the release notes."""

from __future__ import annotations

import os
import time

from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import (
    _apache,
    _engine,
    _heal,
    _host,
    _packages,
    _plan,
    _private_apt,
    _quiet,
    _simulate,
    _stages,
)

# Which packages were installed for another's sake.
MARKS = "/var/lib/apt/extended_states"


class Debian(_engine.Engine):
    """See Engine."""

    def __init__(self, host, job):
        super().__init__(host, job)
        self.staged = _private_apt.PrivateApt(os.path.join(host.directory, "apt"), "/var/cache/apt/archives")
        host.sources = self._sources
        host.read_lists = self._read_lists
        host.edited = frozenset(entry["path"] for entry in self.plan.get("conffiles") or [])
        host.against_plan = lambda transaction: self._deviations(transaction, repair=True)

    def heal(self):
        """See Engine and _heal."""
        marks = os.path.join(self.host.backups, "before", MARKS.lstrip("/"))
        if self.host.power_was_cut and not read_if_exists(MARKS) and read_if_exists(marks):
            # apt does not sync them: without them nothing counts as installed for another package's sake any more
            write_atomic(MARKS, read_if_exists(marks), 0o644)
            self.host.memory.journal("note", text="%s was lost in a power cut and is what it was before the upgrade" % MARKS)
        return _heal.heal(self.host)

    # Names apt is asked for beside full-upgrade, see _plan.wanted_replacements().
    @property
    def extra(self):
        """Replacements that apt must be asked for."""
        return list(self.plan["replacements"])

    def _sources(self):
        """Options that make apt use the staged sources while they are in force; the live configuration is used for all else."""
        stages, root = self.host.memory.state["stages"], self.staged.root
        if not _stages.passed(stages, "stage-sources") or _stages.passed(stages, "commit-sources"):
            return []
        return [
            "Dir::State::lists=" + root + "/lists",
            "Dir::Etc::sourcelist=" + root + "/etc/sources.list",
            "Dir::Etc::sourceparts=" + root + "/etc/sources.list.d",
            "Dir::Cache::pkgcache=" + root + "/cache/live-pkgcache.bin",
            "Dir::Cache::srcpkgcache=" + root + "/cache/live-srcpkgcache.bin",
        ]

    def _apt(self, words, total=0, target=True, refusal=""):
        """Run apt-get until it succeeds; heal in between; the third failure of the same package stops."""
        options = [word for option in _host.OPTIONS + (self._sources() if target else []) for word in ("-o", option)]
        again = False
        while True:
            self.heal()
            if again and target:
                # What was repaired in between may have changed apt's mind.
                would = _simulate.transaction(self.host.run(["apt-get", "-s", "-q"] + options + words, check=False, timeout=900).text)
                self._refuse(self._deviations(would))
            again = True
            start = self.host.log_size()
            rc = self.host.packages(["apt-get", "-y", "-q"] + options + words, total)
            if rc == 0:
                return
            log = self.host.log_since(start)
            said = "; ".join(_simulate.problems(log)[:3]) or "status %d" % rc
            _heal.judge(self.host, log, refusal or "apt-get %s: %s" % (words[0], said))
            time.sleep(5)

    def _update(self):
        """Read the live sources' lists anew."""
        if self.host.memory.was_cut():
            # what a power cut left of a list is empty, and apt takes it for the newest
            _private_apt.forget_lists(_host.LISTS)
        self.host.wait_for_dpkg((_host.LISTS + "/lock",))
        # else apt calls it a success when no mirror answers
        self._apt(["update", "-o", "APT::Update::Error-Mode=any"], target=False)
        # before packages change: healing after a power cut needs whole lists
        self.host.settle()

    def _read_lists(self):
        """The lists in force anew, all of them; what could not be read is told by what needs it."""
        if self._sources():
            _private_apt.forget_lists(self.staged.root + "/lists")
            self.staged.update()
            return
        _private_apt.forget_lists(_host.LISTS)
        self.host.packages(["apt-get", "-q"] + [word for option in _host.OPTIONS for word in ("-o", option)] + ["update"])

    def _unseen(self, text):
        """Packages of the plan that are still what they were, and that apt (text of its simulation) neither brings nor keeps back: it lost its lists."""
        would, now = _simulate.transaction(text), _packages.installed()
        seen = {e["name"] for e in would["upgrade"] + would["remove"]} | set(_simulate.kept_back(text))
        old = [e["name"] for e in self.plan["upgrade"] if now.get((e["name"], e["arch"]), {}).get("version") == e["from"]]
        return sorted(set(old) - seen)

    def _see_all(self, text):
        """Stop when apt no longer sees what was planned."""
        unseen = self._unseen(text)
        if unseen:
            raise _host.StageFailure(
                "apt no longer sees what was planned for %d packages: %s" % (len(unseen), ", ".join(unseen[:5])),
                "look whether %s still has %s and whether its lists below %s/lists are whole, then start the upgrade again"
                % (", ".join(sorted({e["uri"] for e in self.plan["sources"]})[:3]), self.path["target"]["codename"], self.staged.root),
            )

    def _deviations(self, transaction, repair=False):
        """How a transaction goes against the plan (see _plan.deviations)."""
        present = None if repair else {name for name, _arch in _packages.installed()}
        return _plan.deviations(self.plan, transaction, self.settings["protected"], self.settings["accepted_removals"], present)

    @staticmethod
    def _refuse(off):
        """Stop when apt would go against the plan."""
        if off:
            raise _host.StageFailure(
                "apt would go against the plan: %s" % "; ".join(off[:5]),
                "look at these removals; when they are right, name them in distro_upgrade_accepted_removals, then start the upgrade again",
            )

    def quiesce(self):
        """Nobody else manages packages, and services that would choke on their old configuration wait."""
        if not self.host.memory.recall("backup_begun"):
            # What an earlier attempt kept may be out of date: its operator was asked to correct the sources.
            self.host.set_aside("before")
            self.host.memory.remember("backup_begun", True)
        for path in ("/var/lib/dpkg/status", MARKS):
            self.host.keep(path, "before")
        self.host.keep("/etc/apt", "before")
        fragile = _quiet.fragile(self.path, self.settings, self.host.package_version)
        self.host.memory.remember("fragile", fragile)
        return _quiet.quiet(self.host, self.flight, fragile)

    def patch_source(self):
        """Today's release up to date, and at least the versions that the release path names."""
        self._update()
        if self.plan["patch"]:
            self._apt(["upgrade", "--with-new-pkgs"], len(self.plan["patch"]), target=False)
        for name, rule in (self.path.get("minimum_versions") or {}).items():
            version = self.host.package_version(name)
            if version and self.host.older(version, rule["version"]):
                raise _host.StageFailure(
                    "%s is %s, and at least %s is needed: %s" % (name, version, rule["version"], rule["reason"]),
                    "bring it up to date (is a security source missing?), then start the upgrade again",
                )
        return "%d packages brought up to date" % len(self.plan["patch"])

    def stage_sources(self):
        """The target's sources beside the live ones, and their lists. Live sources stay as they are until commit-sources."""
        texts, _changes = _private_apt.staged_sources(self.path["suites"], self.settings["source_map"], self.path.get("components") or [])
        self.host.wait_for_dpkg((self.staged.root + "/lists/lock",))
        if self.host.memory.was_cut():
            _private_apt.forget_lists(self.staged.root + "/lists")
        self.staged.prepare(texts)
        self.host.memory.remember("staged", [path for path, _text in texts])
        said = self.staged.update()
        if said:
            raise _host.StageFailure(
                "not every source answers for %s: %s" % (self.path["target"]["codename"], "; ".join(said[:3])),
                "repair the mirror or name the source in distro_upgrade_source_map, then start the upgrade again",
            )
        return "%d source files" % len(texts)

    def download(self):
        """Everything is on the disk before anything changes: from here no network is needed until the sources are committed."""
        needed, free = self.plan["download_bytes"], self.host.free("/var/cache/apt")
        if free < needed:
            raise _host.StageFailure(
                "/var/cache/apt has %d MB free and the download needs %d MB" % (free // 10**6, needed // 10**6), "make room, then start the upgrade again"
            )
        self._apt(["full-upgrade", "--download-only"] + self.extra)
        return "%.0f MB planned" % (needed / 1e6)

    def simulate(self):
        """What apt would do now is what the plan says, and there is room for it."""
        text = self.staged.simulate("full-upgrade", *self.extra)
        self._refuse(self._deviations(_simulate.transaction(text)))
        self._see_all(text)
        for mount, numbers in self.plan["disk"].items():
            free = self.host.free(mount)
            if free < numbers["needed"] - numbers["archives"]:
                raise _host.StageFailure(
                    "%s has %d MB free and the upgrade needs %d MB" % (mount, free // 10**6, (numbers["needed"] - numbers["archives"]) // 10**6),
                    "make room, then start the upgrade again",
                )
        return "as planned"

    def bootstrap(self):
        """The package manager, the C library and sshd first, as long as that takes nothing away but what the plan takes away too."""
        names, left = [n for n in self.path.get("bootstrap") or [] if self.host.package_version(n)], []
        if names and self._loses(names):
            candidates, names = names, []
            for name in candidates:
                (left if self._loses(names + [name]) else names).append(name)
        if names:
            self._apt(["install", "--only-upgrade"] + names)
        return ", ".join(names) + ("; later: " + ", ".join(left) if left else "")

    def _loses(self, names):
        """Packages that upgrading these would take away without something in their place."""
        would = _simulate.transaction(self.staged.simulate("install", "--only-upgrade", *names))
        arriving = {e["name"] for e in would["upgrade"] + would["install"]}
        return [e["name"] for e in would["remove"] if e["name"] + "t64" not in arriving and self._replaced(e["name"]) not in arriving]

    def _replaced(self, name):
        """What takes a package's place by the plan, or ""."""
        return next((e["replacement"] for e in self.plan["remove"] if e["name"] == name), "")

    def minimal(self):
        """What can be upgraded without new packages or removals."""
        count = sum(1 for e in self.plan["upgrade"] if e["stage"] == "minimal")
        self._apt(["upgrade", "--without-new-pkgs"], count)
        return "%d packages" % count

    def full(self):
        """Everything else, once more only as planned."""
        if self.host.memory.recall("apache_modules") is None:
            self.host.memory.remember("apache_modules", _apache.enabled())
        self._refuse(self._deviations(_simulate.announced(self.staged.announced("full-upgrade", *self.extra))))
        count = sum(1 for e in self.plan["upgrade"] if e["stage"] == "full") + len(self.plan["install"]) + len(self.plan["remove"])
        self._apt(["full-upgrade"] + self.extra, count)
        self._see_all(self.staged.simulate("full-upgrade", *self.extra))
        for rule in self.path.get("settle") or []:
            self._settle(rule)
        _apache.switch(self.host, self.path.get("apache_modules") or [], self.host.memory.recall("apache_modules"))
        return "%d packages" % count

    def commit_sources(self):
        """The staged sources become the host's, each file replaced at once, the old ones kept."""
        staged, todo = self.host.memory.recall("staged"), []
        if staged is None:
            staged = [path for path, _text in _private_apt.live_sources()]
        for path in staged:
            there = self.staged.path_of(path)
            new, old = read_if_exists(there), read_if_exists(path)
            if new is None:
                raise _host.StageFailure(
                    "%s, which is to become %s, is not there" % (there, path),
                    "write %s for %s there, then start the upgrade again" % (path, self.path["target"]["codename"]),
                )
            before = read_if_exists(os.path.join(self.host.backups, "before", path.lstrip("/")))
            if old == new:
                continue
            if old != before:
                raise _host.StageFailure(
                    "%s was changed by somebody else during the upgrade" % path,
                    "put %s in order for %s, copy it to %s as well, then start the upgrade again" % (path, self.path["target"]["codename"], there),
                )
            todo.append((path, new))
        for path, new in todo:
            write_atomic(path, new, os.stat(path).st_mode & 0o777)
        self._update()
        return "backups in %s" % os.path.join(self.host.backups, "before/etc/apt")

    def autoremove(self):
        """Only what the plan named, what apt still finds unneeded, and never a protected package or a database's old version. Never purged."""
        if not self.settings["autoremove"]:
            return ""
        now = {e["name"] for e in _simulate.transaction(self.staged.simulate("autoremove"))["remove"]}
        planned = {e["name"] for e in self.plan["autoremove"]}
        names = sorted(n for n in now & planned if not _plan.matches(n, self.settings["protected"]) and not n.startswith("postgresql-"))
        # apt forgets their marks before dpkg removes the first of them: what a cut leaves there, it never finds unneeded again
        begun = self.host.memory.recall("autoremove") or []
        names = sorted(set(names) | {name for name, _arch in _packages.installed() if name in begun})
        if not names:
            return ""
        would = _simulate.transaction(self.staged.simulate("remove", *names))
        more = [e["name"] for e in would["remove"] if e["name"] not in names]
        if more:
            return "left alone: it would take %s along" % ", ".join(more[:5])
        self.host.memory.remember("autoremove", names)
        self._apt(["remove"] + names, len(names), target=False)
        return "%d packages" % len(names)
