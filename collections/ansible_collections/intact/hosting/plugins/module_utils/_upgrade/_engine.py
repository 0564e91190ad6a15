# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What every engine does alike on a host, whatever its package manager. An engine is a class below this one, with a method for each other stage."""

from __future__ import annotations

import os
import time

from ansible_collections.intact.hosting.plugins.module_utils import _binding, _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _stage
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import (
    _carry,
    _configuration,
    _databases,
    _deadman,
    _host,
    _plan,
    _postgresql,
    _quiet,
    _rescue,
    _state,
)

# What the looks before the upgrade left for the next look; the next one is about another release.
CACHES = ("/var/lib/intact/plan", "/var/lib/intact/cache")
AGAIN = "start the upgrade again: it goes on where it stopped"


class Engine:
    """One flight's upgrade of a host. A method per stage, its name with _ for -; each returns a sentence, "" for nothing to do.

    Every one may be cut anywhere and is then run again from its beginning. HOST: the class of the host that it works on.
    """

    HOST = _host.Host

    def __init__(self, host, job):
        self.host = host
        self.flight = job["flight"]
        self.plan = job["plan"]
        self.path = job["release_path"]
        self.settings = job["settings"]
        self.job = job
        self.binding = job.get("binding") or {}

    def heal(self):
        """Bring the package manager's database back to a sound state; returns what was wrong ([] when nothing)."""
        raise NotImplementedError

    def back_out(self):
        """Give back what was taken before the point of no return. May raise; what it could not give back stays in the memory's "quiet"."""
        try:
            _rescue.close_way(self.host)
        finally:
            try:
                _quiet.loud(self.host)
            finally:
                _stage.give_back(self.host, self.job)

    def bind(self):
        """Host, plan and pre-flight result belong together, or nothing starts."""
        _plan.check(self.plan)
        system = System()
        if self.binding and self.binding.get("host_id") != system.text("/etc/machine-id").strip():
            raise _host.StageFailure("the pre-flight result was made on another host", "run the pre-flight on this host")
        if self.plan["packages_hash"] != _binding.packages_digest(system):
            raise _host.StageFailure("the set of installed packages changed since the plan was made", "run the pre-flight again")
        if self.binding and self.binding.get("sources") != _binding.sources_digest(system):
            raise _host.StageFailure("apt's sources or preferences changed since the pre-flight", "run the pre-flight again")
        return "plan %s" % self.plan["hash"][:12]

    def rescue_ssh(self):
        """A way in that does not hang on what is replaced."""
        # Asked now: when it is armed there is no way back.
        _deadman.check(self.settings)
        return _rescue.open_way(self.host, self.settings)

    def watch(self):
        """What fills up while the upgrade works is told before it is full."""
        _stage.watch(self.host, self.job)

    def snapshot(self):
        """What the host can go back to, before anything of the flight changed it."""
        return _stage.snapshot(self.host, self.job)

    def point_of_no_return(self):
        """From here on there is only forward, or the restore that was decided before."""
        self.host.memory.journal("decision", what="point of no return passed", who="upgrade runner", why="downloads complete, simulation as planned")
        return "only forward from here"

    def database_stop(self):
        """A clean shutdown, proved, while the old binary is still there."""
        return _databases.stop_cleanly(self.host)

    def carry(self):
        """Configuration of versioned paths to where the new version looks."""
        made = _carry.carry(self.host, self.path.get("carry") or [], {e["name"] for e in self.plan["remove"]})
        for target in made:
            self.host.memory.journal("note", text="carried over: %s" % target)
        return "%d files" % len(made) if made else ""

    def _settle(self, rule):
        """A service whose unit changed its name under it: end the old instance, start the new one."""
        if not self.host.package_version(rule["package"]) or self.host.unit_state(rule["instance"]) not in ("active", "failed", "activating", "deactivating"):
            return
        self.host.systemctl("daemon-reload", check=False)
        for words in (("stop", rule["instance"]), ("reset-failed", rule["instance"]), ("restart", rule["service"])):
            self.host.systemctl(*words, check=False, timeout=300)

    def target_files(self):
        """The operator's configuration for the target's daemons, each daemon's own check, then the start of what was kept still."""
        staging, covered = os.path.join(self.host.directory, "target-files"), []
        said = ""
        if os.path.isdir(staging):
            installed, removed = _configuration.install(self.host, staging, self.settings["target_absent"])
            covered = [path for path, _staged in _configuration.below(staging)] + removed
            said = "%d files installed, %d set aside" % (len(installed), len(removed))
        _quiet.lift_policy(self.host)
        self.heal()
        _configuration.check(self.host, self.path.get("target_checks") or [], covered)
        fragile = self.host.memory.recall("fragile")
        if fragile is None:
            fragile = _quiet.fragile(self.path, self.settings, self.host.package_version)
        for service in fragile:
            self.host.systemctl("reset-failed", service, check=False)
            self.host.systemctl("restart", service, timeout=900)
        return said

    def database_upgrade(self):
        """Databases at the new version."""
        said = [_databases.upgrade_mysql(self.host), _postgresql.postgresql(self.host, self.settings["postgresql"], self.settings["postgresql_reindex"])]
        _databases.speed_up(self.host)
        return "; ".join(s for s in said if s)

    def residue(self):
        """What packages left beside changed configuration files: listed, and replaced where that was decided."""
        settings = self.settings
        left = _configuration.decide(self.host, settings["conffiles"], settings["conffile_default"], settings["target_files_cover"])
        write_document(os.path.join(self.host.directory, "residue.json"), left)
        return "%d files left beside changed ones, %d replaced" % (len(left), sum(1 for e in left if e["decision"] == "replace"))

    def reboot(self):
        """Start the new system; the timer brings the runner back, and the boot must be another one."""
        if not self.settings["reboot"]:
            return ""
        before = self.host.memory.state.get("waiting_boot")
        if before and before != _flight.boot_id():
            running = self.host.systemctl("is-system-running", "--wait", check=False, timeout=900).text.strip()
            failed = self.host.systemctl("--failed", "--plain", "--no-legend", check=False).text.split("\n")
            names = [line.split()[0] for line in failed if line.strip()]
            return "system is %s%s" % (running, (": " + ", ".join(names)) if names else "")
        armed = _deadman.arm(self.host, self.settings)
        if armed:
            self.host.memory.journal("note", text=armed)
        self.host.memory.save(status="waiting-reboot", waiting_boot=_flight.boot_id(), message="rebooting")
        self.host.run(["sync"], check=False)
        self.host.systemctl("reboot")
        # Until init ends this process. Not ended: the next start of the runner tries again.
        time.sleep(600)
        raise IntactError("the host did not reboot within 600 s; %s" % AGAIN)

    def unquiesce(self):
        """Timers and other package managers as they were."""
        if self.host.memory.recall("quiet") is None:
            # Neither state nor journal tell it. A guess could let something run that the operator keeps masked.
            masked = [unit for unit in _quiet.UNITS if self.host.unit_state(unit, "UnitFileState").startswith("masked")]
            if masked:
                self.host.memory.journal("note", text="how these were before is lost, unmask those that should run: %s" % ", ".join(masked))
        return _quiet.loud(self.host)

    def cleanup(self):
        """Room that the runner took; evidence and backups stay."""
        closed = _rescue.close_way(self.host)
        gone = [os.path.join(self.host.directory, name) for name in ("apt", "status-fd", "target-files", _state.HOLD)] + list(CACHES)
        self.host.run(["rm", "-rf", "--"] + gone, check=False)
        return "staged files and lists removed%s" % ("; " + closed if closed else "")
