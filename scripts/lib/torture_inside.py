# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs on a host whose upgrade is cut: starts it as playbooks/upgrade-host.yml would, with the modules' own code, and tells how the host is.

torture_inside.py start FLIGHT ASKED.json | binding [disks] | facts
Prints one JSON document. Ansible is not on the host: its AnsibleModule is stood in for here.
"""

from __future__ import annotations

import importlib
import json
import os
import re
import subprocess
import sys
import types
import urllib.request

PARAMS = {}


def filled(spec, given):
    """Parameters with the spec's defaults, as Ansible would fill them in."""
    out = {}
    for name, option in spec.items():
        value = given.get(name, option.get("default"))
        if option.get("options") and option.get("type") == "dict":
            value = filled(option["options"], value or {})
        out[name] = value
    return out


class AnsibleModule:
    """What the modules use of it."""

    def __init__(self, argument_spec, supports_check_mode=False):
        self.params = filled(argument_spec, PARAMS)
        self.check_mode = self._diff = False

    def exit_json(self, **result):
        """End well."""
        sys.exit(tell(result))

    def fail_json(self, msg, **result):
        """End badly."""
        sys.exit(tell(dict(result, failed=True, msg=msg)))


def tell(document):
    """Print it; 0, as a failure is told in it."""
    print(json.dumps(document))
    return 0


def stand_in():
    """Make `from ansible.module_utils.basic import AnsibleModule` work."""
    for name in ("ansible", "ansible.module_utils", "ansible.module_utils.basic"):
        sys.modules[name] = types.ModuleType(name)
    sys.modules["ansible.module_utils.basic"].AnsibleModule = AnsibleModule
    sys.path.insert(0, os.environ.get("INTACT_COLLECTIONS", "/opt/intact/collections"))


def intact():
    """The collection's own code, as a namespace."""
    stand_in()
    base = "ansible_collections.intact.hosting.plugins."
    names = ("module_utils._binding", "module_utils._flight", "module_utils._upgrade._install", "module_utils._upgrade._look", "modules.upgrade_runner")
    found = {name.rsplit(".", 1)[-1]: importlib.import_module(base + name) for name in names}
    found["System"] = importlib.import_module(base + "module_utils._system").System
    found["IntactError"] = importlib.import_module(base + "module_utils._findings").IntactError
    return types.SimpleNamespace(**found)


def binding(disks=False):
    """What a pre-flight would have bound its result to."""
    ours = intact()
    items = (ours.upgrade_runner.disks.capture(ours.System({})) or {}).get("items", {}) if disks else {}
    return ours._binding.bind(ours._binding.current(ours.System(), items), 4)


def start(flight, document):
    """Look, plan and start, attach or continue: the order of upgrade-host.yml."""
    with open(document, encoding="utf-8") as handle:
        asked = json.load(handle)
    path, settings = asked["release_path"], asked["settings"]
    ours = intact()
    # every container sees the loop devices of all others, which come and go with their flights
    ours.upgrade_runner.disks.capture = lambda _system: {"items": {}}
    PARAMS.update(flight_id=flight, release_path=path, settings=settings, hold_before=asked.get("hold_before", []))
    try:
        action, state = ours._install.intent(flight, path["target"])
        if not ours._flight.opening(ours._flight.read(flight)[0]):
            ours._flight.append(flight, "flight.open", host="torture", kind="upgrade", source="Debian 12", target="Lab next")
        if action in ("start", "continue") and not (state and state["point_of_no_return"]):
            plan, findings = ours._look.look(path, "/var/lib/intact/plan", protected=settings["protected"], default=settings["conffile_default"])
            if plan is None:
                return tell({"failed": True, "msg": "; ".join("%s: %s" % (f.title, f.evidence) for f in findings), "look": True})
            PARAMS.update(plan=plan, binding=binding())
    except ours.IntactError as exc:
        return tell({"failed": True, "msg": str(exc)})
    return ours.upgrade_runner.main()


def said(*argv):
    """(exit status, what the command printed)."""
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, check=False)
    return done.returncode, done.stdout.decode("utf-8", "replace")


def answer():
    """What the daemon says of itself."""
    try:
        with urllib.request.urlopen("http://127.0.0.1:8099/", timeout=5) as reply:
            return reply.read().decode("utf-8", "replace")
    except OSError as exc:
        return "no answer: %s" % exc


def text(path):
    """Content of a file; None when it is not there."""
    try:
        with open(path, encoding="utf-8", errors="replace") as handle:
            return handle.read()
    except OSError:
        return None


def processes():
    """Command lines of package managers and runners that still work."""
    out = []
    for pid in filter(str.isdigit, os.listdir("/proc")):
        line = (text("/proc/%s/cmdline" % pid) or "").replace("\0", " ").strip()
        name = os.path.basename(line.split(" ")[0])
        if name in ("apt-get", "dpkg", "dpkg-deb") or "runner/__main__.py" in line or re.search(r"/var/lib/dpkg/info/\S+\.(post|pre)(inst|rm)", line):
            out.append(line)
    return out


def facts():
    """How the host is, asked of dpkg, systemd and the files themselves."""
    states = {}
    for line in said("dpkg-query", "-W", "-f", "${Package}\t${db:Status-Abbrev}\t${Version}\n")[1].splitlines():
        parts = line.split("\t")
        if len(parts) == 3:
            states[parts[0]] = [parts[1].strip(), parts[2]]
    units = {}
    for unit in ("apt-daily.timer", "apt-daily-upgrade.timer", "intact-upgrade.timer", "intact-upgrade.service", "lab-daemon.service"):
        out = said("systemctl", "show", "-p", "LoadState", "-p", "ActiveState", "-p", "UnitFileState", "--", unit)[1]
        units[unit] = dict(line.split("=", 1) for line in out.splitlines() if "=" in line)
    updates = os.listdir("/var/lib/dpkg/updates") if os.path.isdir("/var/lib/dpkg/updates") else ["no such directory"]
    return {
        "audit": said("dpkg", "--audit"),
        "check": said("apt-get", "check", "-q"),
        "verify": said("dpkg", "--verify"),
        "states": states,
        "updates": sorted(updates),
        "units": units,
        "processes": processes(),
        "daemon": answer(),
        "files": {
            name: text(name)
            for name in (
                "/etc/lab/answer.conf",
                "/etc/lab/plain.conf",
                "/etc/lab/after.d/10-lab.conf",
                "/etc/os-release",
                "/etc/apt/sources.list",
                "/var/lib/lab/mode",
                "/usr/sbin/policy-rc.d",
            )
        },
        "beside": sorted(name for name in os.listdir("/etc/lab") if "dpkg" in name or "intact" in name),
        "debconf": said("debconf-show", "lab-debconf")[1],
        "hold": said("apt-mark", "showhold")[1],
    }


def main():
    """Do what the first argument says."""
    what = sys.argv[1]
    if what == "start":
        return start(sys.argv[2], sys.argv[3])
    return tell(binding("disks" in sys.argv) if what == "binding" else facts())


if __name__ == "__main__":
    sys.exit(main())
