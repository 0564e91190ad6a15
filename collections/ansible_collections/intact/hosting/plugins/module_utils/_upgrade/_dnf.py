# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""dnf 4 and dnf5 as engine: distro-sync to the target's repositories, from a cache of its own. Fedora goes at most two releases at once."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _rpm, _rpm_says

# Fedora tests the way to the next two releases only (docs.fedoraproject.org, "Upgrading Fedora Linux using DNF System Plugin").
HOP = 2
# Where it is, dnf5 can do a stored transaction in a boot of its own. dnf 4's plugin for it is not used: it would download once more, into a place of its own.
OFFLINE = ("/usr/lib/systemd/system/dnf5-offline-transaction.service", "/lib/systemd/system/dnf5-offline-transaction.service")
# A field in each line of repoquery, divided by what no field has.
FIELDS = "%{name}|%{arch}|%{downloadsize}|%{installsize}\n"


def too_far(path):
    """Why a release path is further than the distribution tests, or ""."""
    source, target = path["source"], path["target"]
    if source["id"] != "fedora" or not (str(source["version"]).isdigit() and str(target["version"]).isdigit()):
        return ""
    hops = int(target["version"]) - int(source["version"])
    return "from Fedora %s to %s are %d releases, and at most %d are tested at once" % (source["version"], target["version"], hops, HOP) if hops > HOP else ""


class Dnf(_rpm.Manager):
    """See Manager. Works with both: where their words differ, it asks which one dnf is."""

    name = "dnf"
    directory = "/etc/yum.repos.d"

    @property
    def program(self):
        """The program: dnf, or dnf5 where there is no dnf."""
        return "dnf" if which("dnf") else "dnf5"

    @property
    def five(self):
        """Whether it is dnf5, whatever its name."""
        return os.path.basename(os.path.realpath(which(self.program) or "")) == "dnf5"

    def offline(self):
        """Whether it can do a transaction in a boot of its own."""
        return self.five and any(os.path.exists(path) for path in OFFLINE)

    def _staged(self):
        words = ["--releasever=%s" % self.target, "--setopt=reposdir=%s" % self.repos, "--setopt=keepcache=1", "--setopt=*.skip_if_unavailable=0"]
        # Both names: root's cache is system_cachedir in dnf5. Metadata that was read once stays what the plan is compared with.
        return words + ["--setopt=cachedir=%s" % self.cache, "--setopt=system_cachedir=%s" % self.cache, "--setopt=metadata_expire=-1"]

    def words(self, verb):
        """See Manager."""
        sync = [self.program, "distro-sync", "--allowerasing"]
        return {
            "refresh": [self.program, "makecache", "-y", "--refresh"] + self._staged(),
            "simulate": sync + ["-C", "--assumeno"] + self._staged(),
            "download": sync + ["-y", "--downloadonly"] + self._staged(),
            "upgrade": sync + ["-C", "-y"] + self._staged(),
            "store": sync + ["-C", "-y", "--offline"] + self._staged(),
            # It makes the link that systemd looks for, and takes it away itself before it begins. The reboot is ours.
            "arm": ["env", "DNF_SYSTEM_UPGRADE_NO_REBOOT=1", self.program, "offline", "reboot", "-y"],
            "disarm": [self.program, "offline", "clean"],
            "patch": [self.program, "upgrade", "-y", "--refresh"],
            "look-patch": [self.program, "upgrade", "--assumeno", "--refresh"],
        }[verb]

    def transaction(self, verb, packages):
        """See Manager."""
        done = self.run(self.words(verb), timeout=1800, check=False)
        text = done.text + done.err.decode("utf-8", "replace")
        if "Nothing to do" not in text and "Operation aborted" not in text:
            raise IntactError("%s sees no way: %s" % (self.program, "; ".join(_rpm_says.problems(text)[:4]) or "status %d" % done.rc))
        return _rpm_says.dnf(text, packages)

    def sizes(self, entries):
        """See Manager."""
        out, names = {}, ["%s-%s.%s" % (e["name"], e["to"], e["arch"]) for e in entries]
        for start in range(0, len(names), 400):
            words = [self.program, "repoquery", "-q", "-C", "--available", "--qf", FIELDS] + self._staged() + names[start : start + 400]
            for line in self.run(words, timeout=1800).text.splitlines():
                parts = line.strip().split("|")
                if len(parts) == 4 and parts[2].isdigit() and parts[3].isdigit():
                    out[parts[0], parts[1]] = (int(parts[2]), int(parts[3]))
        return out


class Engine(_rpm.Rpm):
    """See Rpm."""

    MANAGER = Dnf

    def bind(self):
        """Not further than the distribution tests; the rest as everywhere."""
        far = too_far(self.path)
        if far:
            raise _host.StageFailure(far, "go by a release in between")
        return super().bind()

    def full(self):
        """In a boot of its own where the release path wants it and dnf5 can, else in the running system."""
        offline = self.path.get("offline") and self.settings["reboot"] and self.manager.offline() and self.host.memory.recall("offline") is None
        if not self.host.memory.recall("own_boot"):
            if not offline:
                return super().full()
            self._refuse(self._deviations(self._intention()))
            for verb in ("store", "arm"):
                self._work(verb, lambda: "")
        self.own_boot(["systemctl", "reboot"])
        left = self._left()
        if left:
            # Not a second time: that could become a loop of reboots.
            self.host.memory.remember("own_boot", None)
            self.host.memory.remember("offline", "failed")
            self.host.packages(self.manager.words("disarm"))
            raise _host.StageFailure(
                "the upgrade boot did not do its work: %s" % left,
                "read dnf5 offline log --number=-1, then start the upgrade again: it goes on in the running system",
            )
        self.verify()
        return "done in a boot of its own"
