# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""leapp as engine on the RHEL family: its preupgrade report decides, it upgrades in a boot of its own, and its resume service ends it."""

from __future__ import annotations

import os
import time

from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _dnf, _host, _leapp_report, _rpm, _rpm_host

# leapp-repository: createresumeservice, commonleappdracutmodules (do-upgrade.sh).
RESUME = "leapp_resume.service"
RESUME_FILE = "/etc/systemd/system/leapp_resume.service"
FAILED = "/root/tmp_leapp_py3/.leapp_upgrade_failed"
LOG = "/var/log/leapp/leapp-upgrade.log"
LOCK = "/var/run/leapp.pid"


def command(verb, path):
    """argv of leapp. The path's leapp_options come with it, e.g. --no-rhsm."""
    return ["leapp", verb] + [str(word) for word in path.get("leapp_options") or []]


def release_of(text):
    """VERSION_ID of an os-release file's text. Pure."""
    for line in text.splitlines():
        if line.startswith("VERSION_ID="):
            return line.partition("=")[2].strip().strip('"')
    return ""


class LeappHost(_rpm_host.RpmHost):
    """See RpmHost. leapp's own lock counts as well."""

    def lock_holder(self):
        """See Host.lock_holder."""
        try:
            pid = int((read_if_exists(LOCK) or b"0").decode("ascii", "replace").strip() or 0)
        except ValueError:
            pid = 0
        return pid if pid and _rpm_host.at_work(pid) else super().lock_holder()


class Engine(_rpm.Rpm):
    """See Rpm."""

    HOST = LeappHost
    MANAGER = _dnf.Dnf

    def bind(self):
        """leapp cannot do without a reboot; the rest as everywhere."""
        if not self.settings["reboot"]:
            raise _host.StageFailure("leapp upgrades in a boot of its own", "set distro_upgrade_reboot to true, then start the upgrade again")
        return super().bind()

    def _skipped(self, stage, why):
        self.host.memory.journal("note", text="%s: %s" % (stage, why))
        return ""

    def stage_sources(self):
        """leapp finds the target's repositories by its own maps."""
        return self._skipped("stage-sources", "leapp maps the repositories to the target's by its own data")

    def download(self):
        """leapp downloads in its own run, before it arms the boot in which it changes anything."""
        return self._skipped("download", "leapp downloads everything in stage full, before its upgrade boot")

    def _entries(self, since):
        """Entries of the report that leapp wrote since a moment."""
        try:
            written = os.stat(_leapp_report.REPORT).st_mtime
        except OSError:
            written = 0
        if written < since - 1:
            raise _host.StageFailure(
                "leapp wrote no report", "read %s and %s, then start the upgrade again" % (self.host.log, LOG.replace("upgrade", "preupgrade"))
            )
        return _leapp_report.parse(read_if_exists(_leapp_report.REPORT) or b"")

    def _refuse_stops(self, entries):
        """Stop where leapp itself would, with its own hints."""
        stops = [entry for entry in entries if _leapp_report.stops(entry)]
        if stops:
            raise _host.StageFailure(
                "leapp refuses: %s" % "; ".join(entry["title"] for entry in stops[:5]),
                "%s. Then start the upgrade again" % _leapp_report.remedy(stops[0]).rstrip("."),
            )

    def _removals(self):
        """Removals that leapp asks for against the plan."""
        would = _leapp_report.packages(read_if_exists(_leapp_report.PACKAGES), self.host.installed())
        if would is not None:
            self._refuse(self._deviations(would))

    def simulate(self):
        """A new preupgrade report: nothing in it that stops leapp, and no removal that the plan does not name."""
        since = time.time()
        rc = self.host.packages(command("preupgrade", self.path))
        self._refuse_stops(self._entries(since))
        if rc != 0:
            raise _host.StageFailure("leapp preupgrade ended with status %d" % rc, "read %s, then start the upgrade again" % self.host.log)
        self._removals()
        return "leapp's report stops nothing"

    def full(self):
        """leapp upgrade, the boot in which it works, and the wait for its resume service."""
        boot = self.host.memory.recall("own_boot")
        if not boot:
            since = time.time()
            rc = self.host.packages(command("upgrade", self.path))
            self._refuse_stops(self._entries(since))
            if rc != 0:
                raise _host.StageFailure("leapp upgrade ended with status %d" % rc, "read %s and %s, then start the upgrade again" % (self.host.log, LOG))
        self.own_boot(["systemctl", "reboot"])
        self._wait_for_resume()
        self._arrived()
        self.verify()
        return "upgraded by leapp"

    def _wait_for_resume(self):
        """Until leapp's service for the first boot is gone: it takes itself away when it is done. No time limit."""
        while True:
            there, state = os.path.exists(RESUME_FILE), self.host.unit_state(RESUME)
            if state == "failed":
                raise _host.StageFailure("%s failed" % RESUME, "read journalctl -u %s and %s, then run: leapp upgrade --resume" % (RESUME, LOG))
            if not there and state not in ("active", "activating", "reloading"):
                return
            self.host.memory.progress(0, 0, "", "waiting for %s" % RESUME, self.host.tail(4))
            time.sleep(1)

    def _arrived(self):
        """The mark of a failed upgrade boot, and the release, which only the target has."""
        if os.path.exists(FAILED):
            # Another attempt must arm a boot of its own.
            self.host.memory.remember("own_boot", None)
            raise _host.StageFailure(
                "leapp's upgrade boot failed (%s)" % FAILED, "read %s, repair what it names, remove the mark, then start the upgrade again" % LOG
            )
        version = release_of((read_if_exists("/etc/os-release") or b"").decode("utf-8", "replace"))
        if version.split(".")[0] != str(self.path["target"]["version"]).split(".", maxsplit=1)[0]:
            self.host.memory.remember("own_boot", None)
            raise _host.StageFailure(
                "the host came back on release %s" % (version or "that it does not name"),
                "did its boot loader start leapp's upgrade entry? Read %s, then start the upgrade again" % LOG,
            )

    def heal(self):
        """As everywhere, but what a cut left is leapp's to end as long as its upgrade boot is awaited."""
        return [] if self.host.memory.recall("own_boot") else super().heal()

    def commit_sources(self):
        """leapp did."""
        return self._skipped("commit-sources", "leapp's own packages brought the target's repositories")
