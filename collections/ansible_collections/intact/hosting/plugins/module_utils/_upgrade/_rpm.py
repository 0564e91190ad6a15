# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What the engines of RPM distributions share: each stage of _stages with rpm's database below it. Their package managers: _dnf, _zypper."""

from __future__ import annotations

import os
import re
import time

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists, write_atomic, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import (
    _configuration,
    _deadman,
    _engine,
    _host,
    _plan,
    _quiet,
    _rpm_heal,
    _rpm_host,
    _rpm_says,
    _rpm_sources,
    _stages,
)


class Manager:
    """One package manager's words. root: private directory with repos (the staged repository files) and cache (metadata and packages).

    run: function argv, timeout=, check= -> _command.Result. target: release to which $releasever is set.
    """

    name = ""
    directory = ""

    def __init__(self, root, target, run):
        self.repos = os.path.join(root, "repos")
        self.cache = os.path.join(root, "cache")
        self.target = target
        self.run = run

    def refresh(self):
        """Read the staged repositories' metadata; sentences on what did not answer."""
        done = self.run(self.words("refresh"), timeout=3600, check=False)
        if done.rc == 0:
            return []
        text = done.text + done.err.decode("utf-8", "replace")
        return _rpm_says.problems(text)[:5] or ["%s ended with status %d" % (self.name, done.rc)]

    def words(self, verb):
        """argv for refresh, simulate, download, upgrade (all with the staged repositories; simulate and upgrade from the cache alone), patch or look-patch."""
        raise NotImplementedError

    def transaction(self, verb, packages):
        """What simulate or look-patch says (see _rpm_says.empty). Raises IntactError when the manager sees no way."""
        raise NotImplementedError

    def good(self, rc, log):
        """Whether a package command did what it was asked, by its exit status and its part of the log."""
        return rc == 0

    def sizes(self, entries):
        """{(name, arch): (bytes to download, bytes installed)} of the target's packages; {} where the manager does not tell."""
        raise NotImplementedError


class Rpm(_engine.Engine):
    """See Engine. MANAGER: the class of the package manager."""

    HOST = _rpm_host.RpmHost
    MANAGER = Manager

    def __init__(self, host, job):
        super().__init__(host, job)
        self.root = os.path.join(host.directory, "rpm")
        self.manager = self.MANAGER(self.root, self.path["target"]["version"], host.run)

    def heal(self):
        """See Engine and _rpm_heal."""
        return _rpm_heal.heal(self.host, lambda name: _rpm_heal.archives(self.manager.cache).get(name) or _rpm_heal.archives(self.kept).get(name))

    def _work(self, verb, finished):
        """Run a package command until finished() is "" and no script failed; heal in between; the third failure of the same package stops."""
        while True:
            self.heal()
            start = self.host.log_size()
            rc = self.host.packages(self.manager.words(verb))
            log = self.host.log_since(start)
            scripts = _rpm_heal.note_scripts(self.host, log)
            still = "" if scripts or not self.manager.good(rc, log) else finished()
            if not scripts and self.manager.good(rc, log) and not still:
                return
            said = still or "; ".join(_rpm_says.problems(log)[:3]) or "status %d" % rc
            _rpm_heal.judge(self.host, log, "%s %s: %s" % (self.manager.name, verb, said))
            time.sleep(1)

    def _intention(self, verb="simulate"):
        return self.manager.transaction(verb, self.host.installed())

    def _deviations(self, transaction):
        """How a transaction goes against the plan (see _plan.deviations). What the packages themselves say they take the place of is no loss."""
        twice = {(e["name"], e["version"]) for e in _rpm_says.duplicates(self.host.installed(), _rpm_heal.beside(self.host))}
        remove = [e for e in transaction["remove"] if e["name"] not in transaction["obsoletes"] and (e["name"], e["from"]) not in twice]
        arriving = {e["name"] for e in transaction["install"]}
        # An older kernel makes room for one more.
        remove = [e for e in remove if e["name"] not in arriving]
        present = {e["name"] for e in self.host.installed()}
        return _plan.deviations(self.plan, dict(transaction, remove=remove), self.settings["protected"], self.settings["accepted_removals"], present)

    def _refuse(self, off):
        """Stop when the package manager would go against the plan."""
        if off:
            raise _host.StageFailure(
                "%s would go against the plan: %s" % (self.manager.name, "; ".join(off[:5])),
                "look at these removals; when they are right, name them in distro_upgrade_accepted_removals, then start the upgrade again",
            )

    def quiesce(self):
        """Nobody else manages packages. Services cannot be kept from starting here: RPM packages restart them by themselves."""
        if not self.host.memory.recall("backup_begun"):
            self.host.set_aside("before")
            self.host.memory.remember("backup_begun", True)
        said = _quiet.quiet(self.host, self.flight, [])
        for path in (self.host.database, self.manager.directory, "/etc/dnf", "/etc/zypp", "/etc/os-release"):
            self.host.keep(path, "before")
        if self.host.memory.recall("residue") is None:
            self.host.memory.remember("residue", _configuration.residue())
        if self.host.memory.recall("unmet") is None:
            self.host.memory.remember("unmet", _rpm_heal.unmet(self.host))
        return said

    def patch_source(self):
        """Today's release up to date, and at least the versions that the release path names."""
        if self.plan["patch"]:
            self._work("patch", lambda: "")
        for name, rule in (self.path.get("minimum_versions") or {}).items():
            version = self.host.package_version(name)
            if version and self.host.older(version, rule["version"]):
                raise _host.StageFailure(
                    "%s is %s, and at least %s is needed: %s" % (name, version, rule["version"], rule["reason"]),
                    "bring it up to date (is a repository missing?), then start the upgrade again",
                )
        return "%d packages brought up to date" % len(self.plan["patch"]) if self.plan["patch"] else ""

    def stage_sources(self):
        """The target's repositories beside the live ones, and their metadata. Live ones stay as they are until commit-sources."""
        try:
            texts, _changes = _rpm_sources.staged(
                self.manager.directory,
                self.path["source"]["version"],
                self.path["target"]["version"],
                self.path.get("repositories") or [],
                self.settings["source_map"],
            )
        except IntactError as exc:
            raise _host.StageFailure(str(exc), "name it in distro_upgrade_source_map (rename, disable or keep), then start the upgrade again") from exc
        _rpm_sources.write(texts, self.manager.repos)
        self.host.memory.remember("staged", [path for path, _text in texts])
        said = self.manager.refresh()
        if said:
            raise _host.StageFailure(
                "not every repository answers for %s %s: %s" % (self.path["target"]["id"], self.path["target"]["version"], "; ".join(said[:3])),
                "repair the mirror or name the repository in distro_upgrade_source_map, then start the upgrade again",
            )
        return "%d repository files" % len(texts)

    def _missing(self):
        """What of the transaction is not whole on the disk, as a sentence, or ""."""
        there, would = _rpm_heal.archives(self.manager.cache), self._intention()
        names = [_rpm_says.nevra({"name": e["name"], "version": e["to"], "arch": e["arch"]}) for e in would["upgrade"] + would["install"]]
        missing = [name for name in names if name not in there]
        if missing:
            return "%d of %d packages were not downloaded: %s" % (len(missing), len(names), ", ".join(sorted(missing)[:3]))
        broken = _rpm_heal.broken_archives(self.host, [there[name] for name in names])
        for path in broken:
            # Not kept under its name: the package manager would take it for downloaded.
            os.rename(path, path + ".broken")
        return "%d downloaded packages were broken: %s" % (len(broken), ", ".join(os.path.basename(p) for p in broken[:3])) if broken else ""

    def download(self):
        """Everything is on the disk, and whole, before anything changes: from here no network is needed until the sources are committed."""
        needed, free = self.plan["download_bytes"], self.host.free(self.root)
        if free < needed:
            raise _host.StageFailure(
                "%s has %d MB free and the download needs %d MB" % (self.root, free // 10**6, needed // 10**6), "make room, then start the upgrade again"
            )
        self._work("download", self._missing)
        # zypper removes what it installed, and a script that failed can then not be run again: a second name costs no room.
        os.makedirs(self.kept, mode=0o700, exist_ok=True)
        for name, path in _rpm_heal.archives(self.manager.cache).items():
            second = os.path.join(self.kept, name + ".rpm")
            if os.path.lexists(second):
                os.unlink(second)
            os.link(path, second)
        return "%.0f MB planned" % (needed / 1e6)

    @property
    def kept(self):
        """Where the archives have a second name."""
        return os.path.join(self.root, "kept")

    def simulate(self):
        """What the package manager would do now, from what is on the disk, is what the plan says, and there is room for it."""
        self._refuse(self._deviations(self._intention()))
        for mount, numbers in self.plan["disk"].items():
            free = self.host.free(mount)
            if free < numbers["needed"] - numbers["archives"]:
                raise _host.StageFailure(
                    "%s has %d MB free and the upgrade needs %d MB" % (mount, free // 10**6, (numbers["needed"] - numbers["archives"]) // 10**6),
                    "make room, then start the upgrade again",
                )
        return "as planned"

    def bootstrap(self):
        """Not a stage of its own here."""
        self.host.memory.journal(
            "note", text="bootstrap: %s upgrades itself and sshd in its one transaction, in the order that it computes" % self.manager.name
        )
        return ""

    def minimal(self):
        """Not a stage of its own here."""
        self.host.memory.journal("note", text="minimal: %s has no upgrade without new packages and removals, all is one transaction" % self.manager.name)
        return ""

    def full(self):
        """All packages, from what is on the disk, once more only as planned."""
        would = self._intention()
        self._refuse(self._deviations(would))
        count = len(self.plan["upgrade"]) + len(self.plan["install"]) + len(self.plan["remove"])
        if would["upgrade"] or would["install"] or would["remove"]:
            self._work("upgrade", self._left)
        self.verify()
        for rule in self.path.get("settle") or []:
            self._settle(rule)
        return "%d packages" % count

    def own_boot(self, command):
        """Start a boot in which packages change; True when the host came back from it. The moment before is known after every cut."""
        before = self.host.memory.recall("own_boot")
        if before and before != _flight.boot_id():
            return True
        self.host.memory.remember("own_boot", _flight.boot_id())
        self.host.memory.save(status="waiting-reboot", waiting_boot=_flight.boot_id(), message="rebooting to change packages")
        self.host.run(["sync"], check=False)
        self.host.run(command)
        # Until init ends this process. Not ended: the next start of the runner tries again.
        time.sleep(600)
        raise IntactError("the host did not reboot within 600 s; %s" % _engine.AGAIN)

    def reboot(self):
        """See Engine. Not once more where the packages changed in a boot of their own."""
        if self.host.memory.recall("own_boot"):
            self.host.memory.journal("note", text="reboot: the new system was started in stage full")
            armed = _deadman.arm(self.host, self.settings)
            if armed:
                self.host.memory.journal("note", text=armed)
            return ""
        return super().reboot()

    def _left(self):
        """What is still to do after the transaction, as a sentence, or ""."""
        would = self._intention()
        names = sorted(e["name"] for e in would["upgrade"] + would["install"])
        return "%d packages did not arrive: %s" % (len(names), ", ".join(names[:5])) if names else ""

    def verify(self):
        """rpm's database by other ways than the transaction's own word: readable, nothing twice, nothing lacks what it did not lack before."""
        wrong = _rpm_heal.look(self.host)
        if wrong:
            raise _host.StageFailure("after the transaction: %s" % "; ".join(wrong), _rpm_heal.AGAIN % self.host.log)
        before = self.host.memory.recall("unmet") or []
        lacking = [line for line in _rpm_heal.unmet(self.host) if line not in before]
        if lacking:
            raise _host.StageFailure("packages lack what they need: %s" % "; ".join(lacking[:5]), "install what they need, then start the upgrade again")

    def commit_sources(self):
        """The staged repositories become the host's, each file replaced at once, the old ones kept."""
        staged = self.host.memory.recall("staged")
        if staged is None:
            staged = [path for path, _text in _rpm_sources.live(self.manager.directory)]
        todo, own = [], []
        for path in staged:
            there = os.path.join(self.manager.repos, os.path.basename(path))
            new, old = read_if_exists(there), read_if_exists(path)
            before = read_if_exists(os.path.join(self.host.backups, "before", path.lstrip("/")))
            if new is None:
                raise _host.StageFailure("%s, which is to become %s, is not there" % (there, path), "write it there, then start the upgrade again")
            if old == new or old is None:
                continue
            if old == before:
                todo.append((path, new))
            elif self._packaged(path):
                own.append(path)
            else:
                raise _host.StageFailure(
                    "%s was changed by somebody else during the upgrade" % path,
                    "put %s in order for %s, copy it to %s as well, then start the upgrade again" % (path, self.path["target"]["version"], there),
                )
        for path, new in todo:
            write_atomic(path, new, os.stat(path).st_mode & 0o777)
        kept = "backups in %s" % os.path.join(self.host.backups, "before", self.manager.directory.lstrip("/"))
        return "%d files replaced%s; %s" % (len(todo), (", %d by their packages" % len(own)) if own else "", kept)

    def _packaged(self, path):
        """Whether a file is as its package brought it."""
        done = self.host.run(["rpm", "-V", "--nodeps", "--noscripts", "--nomtime", "-f", path], check=False)
        known = self.host.run(["rpm", "-qf", path], check=False).rc == 0
        return known and not any(line.endswith(" " + path) for line in done.text.splitlines())

    def residue(self):
        """What packages left beside changed configuration files by this flight: listed, and put right where that was decided."""
        settings, before = self.settings, self.host.memory.recall("residue") or []
        left = _configuration.decide(self.host, settings["conffiles"], settings["conffile_default"], settings["target_files_cover"], before)
        write_document(os.path.join(self.host.directory, "residue.json"), left)
        return "%d files left beside changed ones, %d put right" % (len(left), sum(1 for e in left if e.get("done")))

    def autoremove(self):
        """Nothing: before the upgrade it cannot be told what nothing will need after it, so that no plan can name it."""
        text = "nothing is removed: %s cannot tell before the upgrade what nothing needs after it; look at its list of unneeded packages yourself"
        self.host.memory.journal("note", text="autoremove: " + text % self.manager.name)
        return ""

    def database_upgrade(self):
        """MariaDB as everywhere; a PostgreSQL data directory of an older major version is told, not touched."""
        said = [super().database_upgrade()]
        version = (read_if_exists("/var/lib/pgsql/data/PG_VERSION") or b"").decode("ascii", "replace").strip()
        running = re.search(r"\b(\d+)", self.host.run(["postgres", "--version"], check=False).text) if version and os.path.exists("/usr/bin/postgres") else None
        if running and running.group(1) != version:
            text = "PostgreSQL's data is version %s's and its server is %s: run postgresql-setup --upgrade, then start it" % (version, running.group(1))
            self.host.memory.journal("note", text=text)
            said.append(text)
        return "; ".join(s for s in said if s)

    def cleanup(self):
        """Room that the runner took; evidence and backups stay."""
        said = super().cleanup()
        if _stages.passed(self.host.memory.state["stages"], "commit-sources"):
            self.host.run(["rm", "-rf", "--", self.root], check=False)
        return said
