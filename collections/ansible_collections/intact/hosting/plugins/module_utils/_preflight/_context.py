# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a pre-flight check gets."""

from __future__ import annotations

import fnmatch
import re
import time
from dataclasses import dataclass, field

from ansible_collections.intact.hosting.plugins.module_utils import _apt_sources, _checks

UNDONE = {"id": "preflight.unchecked", "subject": "%(number)s %(title)s", "remedy": "repair what is named and run check-host again"}


@dataclass
class Context:
    """host: a _system.Host. plan: what upgrade_plan_info returned. baseline: the document captured just before.

    proofs: list of proof documents. options: the module's settings. cache: a private directory (0700) for
    lists, downloads and the target root, never the host's own. compare_disks: function (before, after) -> findings
    over two disks sections of baselines. inventories: earlier disks items, newest first: [{from, taken, items}].
    """

    host: object
    release_path: dict = field(default_factory=dict)
    plan: dict = field(default_factory=dict)
    baseline: dict = field(default_factory=dict)
    proofs: list = field(default_factory=list)
    options: dict = field(default_factory=dict)
    cache: str = "/var/lib/intact/cache"
    compare_disks: object = None
    inventories: list = field(default_factory=list)
    _known: dict = field(default_factory=dict)

    def once(self, name, make):
        """The value of make(), worked out at the first call for this name."""
        if name not in self._known:
            self._known[name] = make()
        return self._known[name]

    def packages(self):
        """{name: (version, status)} of all packages that dpkg knows; status like "ii " (desired, state, error)."""

        def read():
            out = {}
            text = self.host.run(["dpkg-query", "-W", "-f", "${Package}\t${Version}\t${db:Status-Abbrev}\n"]).text
            for line in text.splitlines():
                name, version, status = (line + "\t\t").split("\t")[:3]
                # Of two architectures the installed one counts.
                if name not in out or status.startswith(("ii", "hi")):
                    out[name] = (version, status.ljust(3))
            return out

        return self.once("packages", read)

    def installed(self, *patterns):
        """Sorted names of installed packages that match any of the shell patterns (all without one)."""
        names = sorted(name for name, (_version, status) in self.packages().items() if status[1] == "i")
        return [name for name in names if not patterns or any(fnmatch.fnmatchcase(name, p) for p in patterns)]

    def os_release(self):
        """{KEY: value} of /etc/os-release."""
        pairs = re.findall(r"^([A-Z_]+)=(.*)$", self.host.text("/etc/os-release"), re.M)
        return {key: value.strip().strip("\"'") for key, value in pairs}

    def container(self):
        """Kind of container that this host is, or "" for a machine with a kernel of its own."""

        def look():
            name = self.host.text("/run/systemd/container").strip()
            if name:
                return name
            if self.host.exists("/.dockerenv"):
                return "docker"
            said = self.host.run(["systemd-detect-virt", "--container"], check=False).text.strip() if self.host.which("systemd-detect-virt") else "none"
            return "" if said == "none" else said

        return self.once("container", look)

    def sources(self):
        """(entries, unparsable places, files apt passes over), see _apt_sources.read_all."""
        return self.once("sources", lambda: _apt_sources.read_all(self.host))

    def section(self, name):
        """A section of the baseline, {} when it isn't in the document."""
        return (self.baseline.get("sections") or {}).get(name) or {}

    def items(self, name):
        """The items of a section of the baseline."""
        return (self.section(name).get("data") or {}).get("items") or {}

    def planned(self, kind):
        """Entries of the plan as dicts with a name: kind is upgrade, install, remove or held."""
        return [dict(entry) if isinstance(entry, dict) else {"name": entry} for entry in self.plan.get(kind) or []]

    def target(self):
        """The target release as words, e.g. Debian 13 (trixie)."""
        if not self.release_path:
            return "the next release"
        data = self.release_path.get("target") or {}
        return "%s %s (%s)" % (str(data.get("id", "?")).capitalize(), data.get("version", "?"), data.get("codename", "?"))


def accepted(entries, key, value):
    """The operator's entry whose key names this value (shell pattern), or None."""
    return next((entry for entry in entries or [] if fnmatch.fnmatchcase(value, str(entry.get(key, "")))), None)


def perform(checks, context, clock=time.monotonic):
    """Run checks (see _checks.perform)."""
    return _checks.perform(checks, context, UNDONE, clock)
