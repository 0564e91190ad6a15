# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A collection in which the fleet's playbook is real and what it does to a host is a stand-in: waves, stops and reports are tested by it, and no upgrade is.

The fleet's own plugins are the real ones. A host's fate is its variable `fate`: ok, refused, refused-later, red, fails, dies (its connection goes away
in the upgrade), dark (it never answers), minor (AlmaLinux 8.10); for going back: stays (it cannot), differs (it does, and is not as it was). What a host
is (release, open flight) lies in STAND_IN/HOST.json.
"""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
REAL = ROOT / "collections" / "ansible_collections" / "intact" / "hosting"

STAND = """
import json, os, time
from ansible.errors import AnsibleConnectionFailure
from ansible.plugins.action import ActionBase

class Stand(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        super().run(tmp, task_vars)
        self.host, self.fate = task_vars["inventory_hostname"], task_vars.get("fate", "ok")
        self.place = os.path.join(os.environ["STAND_IN"], self.host + ".json")
        self.state = {"release": "bookworm", "open": "", "begun": False, "looks": 0}
        if os.path.exists(self.place):
            with open(self.place) as handle:
                self.state.update(json.load(handle))
        with open(os.path.join(os.environ["STAND_IN"], "calls"), "a") as handle:
            what = self._task.args.get("what") or self._task.args.get("state") or self._task.args.get("target") or ""
            handle.write("%s %s %s%s\\n" % (self.host, self._task.action.split(".")[-1], what, " (asked)" if self._task.check_mode else ""))
        if self.fate == "dark":
            raise AnsibleConnectionFailure("no route to host")
        try:
            return self.act(self._task.args)
        finally:
            with open(self.place, "w") as handle:
                json.dump(self.state, handle)
"""
ACTIONS = {
    "flight_info": """
class ActionModule(Stand):
    def act(self, args):
        events = [{"event": "watch", "state": "begin", "until": "2026-11-23T00:00:00Z"}] if self.state.get("watched") else []
        events += self.state.get("journal", [])
        return {"changed": False, "flight_id": self.state["open"], "open": bool(self.state["open"]), "events": events, "files": {}, "directory": ""}
""",
    "upgrade_state_info": """
class ActionModule(Stand):
    def act(self, args):
        version = {"bullseye": "11", "bookworm": "12", "trixie": "13"}[self.state["release"]]
        release = {"id": "debian", "version": version, "codename": self.state["release"]}
        release = {"id": "almalinux", "version": "8.10", "codename": ""} if self.fate == "minor" else release
        begun = bool(self.state["open"]) and self.state["begun"]
        status = "rolled-back" if self.state.get("went_back") else "failed" if begun else ""
        path = "debian-11-12" if self.state.get("first") == "bullseye" and self.state.get("hop", 1) == 1 else "debian-12-13"
        return {"changed": False, "release": release, "stages": ["bind", "reboot"], "release_path": path if begun else "",
                "state": {"status": status} if status else {},
                "action": "continue" if begun else "start", "point_of_no_return": begun, "directory": "/x"}
""",
    "flight": """
class ActionModule(Stand):
    def act(self, args):
        resumed = bool(self.state["open"])
        if args["state"] == "closed":
            self.state.update(open="", verdict=args["verdict"])
        else:
            self.state["open"] = self.state["open"] or "%s-upgrade-20261122t1134z" % self.host
        return {"changed": True, "flight_id": self.state["open"], "opened": "2026-11-22T11:34:00Z", "directory": "/x", "resumed": resumed,
                "budget_seconds": 0, "budgets": {}}
""",
    "flight_hop": """
class ActionModule(Stand):
    def act(self, args):
        if not args.get("target"):
            return {"changed": False, "hop": 1}
        if not self.state.get("go"):
            return {"failed": True, "msg": "%s: the post-flight of hop 1 does not say GO" % self.host}
        if not self._task.check_mode:
            self.state.update(begun=False, hop=2)
        return {"changed": True, "hop": 2}
""",
    "dead_man": """
class ActionModule(Stand):
    def act(self, args):
        return {"changed": True} if not os.environ.get("NO_DISARM") else {"failed": True, "msg": "Read-only file system"}
""",
    "rollback": """
class ActionModule(Stand):
    def act(self, args):
        if self.state.get("sticks"):
            return {"failed": True, "msg": "%s: the volume is in use" % self.host}
        return {"changed": True, "lines": []}
""",
    "flight_watch": """
class ActionModule(Stand):
    def act(self, args):
        if args["state"] == "ended":
            self.state["watched"] = False
        return {"changed": True, "watching": bool(self.state.get("watched")), "due": True, "verdict": self.state.get("watch_verdict", "intact"),
                "why": "60 looks", "until": "x", "standing": [], "looks": 60}
""",
    "stand_in": """
class ActionModule(Stand):
    def act(self, args):
        what = args["what"]
        if what == "preflight":
            self.state["looks"] += 1
            bad = self.fate == "refused" or (self.fate == "refused-later" and self.state["looks"] > 1)
            findings = [{"severity": "blocker", "status": "open", "subject": "backup", "title": "it is not proven"}] if bad else []
            return {"changed": False, "verdict": {"go": not bad, "findings": findings}}
        if what == "upgrade":
            self.state["begun"] = True
            if self.fate == "dies":
                raise AnsibleConnectionFailure("the power is off")
            if self.fate == "fails" and not os.environ.get("MENDED"):
                return {"failed": True, "msg": "%s: the upgrade failed in full: apt said no" % self.host}
            self.state.setdefault("first", self.state["release"])
            self.state["release"] = {"bullseye": "bookworm"}.get(self.state["release"], "trixie")
            return {"changed": True}
        if what == "postflight":
            go = self.fate not in ("red", "stays", "differs")
            said = {} if go or os.environ.get("ONLY_TOLD") else {"failed": True, "msg": "%s: post-flight says NO GO: a site is gone" % self.host}
            self.state["go"] = go
            return dict(said, changed=False, verdict={"go": go, "findings": []})
        if what == "rollback":
            if self.fate == "stays" and not os.environ.get("MENDED"):
                return {"failed": True, "msg": "%s: the snapshot ran full" % self.host}
            self.state.update(release="bookworm", went_back=True)
            if not os.environ.get("CUT"):
                return {"changed": True}
            return {"failed": True, "msg": "%s: cut" % self.host}
        if what == "prove":
            self.state.update(open="", verdict="rolled-back")
            go = self.fate != "differs"
            return dict({} if go else {"failed": True, "msg": "%s: rollback says NO GO" % self.host}, changed=False, verdict={"go": go})
        if what == "watch":
            self.state["watched"] = True
            return {"changed": True}
        if what == "report":
            place = os.path.join(args["flights"], args["flight"])
            os.makedirs(place, exist_ok=True)
            word = {"intact": "INTACT", "loss": "LOSS"}.get(self.state.get("verdict"), "FAILED")
            with open(os.path.join(place, "report.json"), "w") as handle:
                json.dump({"flight": {"seconds": 60}, "verdict": {"word": word, "sentence": "%s is %s" % (self.host, word)}}, handle)
            with open(os.path.join(place, "report.html"), "w") as handle:
                handle.write(word)
            return {"changed": True}
        raise ValueError(what)
""",
}
# What actions run on the host as a module: the host is told from the flight's id.
MODULE = """#!/usr/bin/python
import json, os
from ansible.module_utils.basic import AnsibleModule

module = AnsibleModule(argument_spec={"flight_id": {}, "event": {}, "fields": {"type": "dict"}}, supports_check_mode=True)
flight = module.params["flight_id"]
place = os.path.join(os.environ["STAND_IN"], flight.split("-upgrade-")[0] + ".json")
with open(place) as handle:
    state = json.load(handle)
if module.params["event"]:
    state.setdefault("journal", []).append(dict(module.params["fields"], event=module.params["event"]))
    with open(place, "w") as handle:
        json.dump(state, handle)
module.exit_json(changed=False, flight_id=flight, open=True, events=state.get("journal", []))
"""
MODULES = ("flight_event", "flight_info")
ROLES = {
    "preflight": {
        "main": """
- name: Look
  intact.hosting.stand_in: {what: preflight}
  register: __preflight_gate
- name: Hand over
  ansible.builtin.set_fact:
    preflight_result: {plan: {}, binding: {}, verdict: "{{ __preflight_gate['verdict'] }}"}
- name: Go or no-go
  ansible.builtin.fail: {msg: "{{ inventory_hostname }}: pre-flight says NO GO"}
  when: preflight_gate_enabled | default(true) and not __preflight_gate['verdict']['go']
"""
    },
    "distro_upgrade": {"main": "- name: Upgrade\n  intact.hosting.stand_in: {what: upgrade}\n"},
    "postflight": {"main": "- name: Go or no-go\n  intact.hosting.stand_in: {what: postflight}\n  register: __postflight_gate\n"},
    "flight_report": {
        "main": """
- name: Draw
  intact.hosting.stand_in: {what: report, flights: "{{ intact_flights_dir }}", flight: "{{ flight_report_flight_id }}"}
""",
        "fetch": "[]\n",
    },
    "outage_probe": {"main": "[]\n", "collect": "[]\n"},
    "flight_watch": {"main": "- name: Watch\n  intact.hosting.stand_in: {what: watch}\n", "close": "", "validate": "[]\n"},
    "rollback": {
        "main": """
- name: Find
  intact.hosting.flight_info:
  register: __rollback_found
- name: Go back
  intact.hosting.stand_in: {what: rollback}
- name: Prove
  intact.hosting.stand_in: {what: prove}
  register: __rollback_gate
"""
    },
}


def build(place: Path) -> Path:
    """Make the collection below a directory; returns the directory for ANSIBLE_COLLECTIONS_PATH."""
    home = place / "ansible_collections" / "intact" / "hosting"
    (home / "plugins" / "action").mkdir(parents=True)
    (home / "meta").mkdir()
    (home / "meta" / "runtime.yml").write_text((REAL / "meta" / "runtime.yml").read_text())
    (home / "galaxy.yml").write_text((REAL / "galaxy.yml").read_text())
    (home / "plugins" / "modules").mkdir()
    for path in (REAL / "plugins" / "modules").glob("*.py"):
        if path.stem in MODULES:
            (home / "plugins" / "modules" / path.name).write_text(MODULE)
        else:
            (home / "plugins" / "modules" / path.name).symlink_to(path)
    for name in ("module_utils", "plugin_utils", "lookup", "filter", "doc_fragments"):
        (home / "plugins" / name).symlink_to(REAL / "plugins" / name)
    for path in (REAL / "plugins" / "action").glob("*.py"):
        if path.stem not in ACTIONS:
            (home / "plugins" / "action" / path.name).symlink_to(path)
    for name, text in ACTIONS.items():
        (home / "plugins" / "action" / (name + ".py")).write_text(STAND + text)
    for role, files in ROLES.items():
        for name, text in files.items():
            (home / "roles" / role / "tasks").mkdir(parents=True, exist_ok=True)
            (home / "roles" / role / "tasks" / (name + ".yml")).write_text("---\n" + text.lstrip())
    real = REAL / "roles" / "flight_watch" / "tasks" / "close.yml"
    (home / "roles" / "flight_watch" / "tasks" / "close.yml").write_text(real.read_text())
    (home / "roles" / "flight_watch" / "defaults").symlink_to(REAL / "roles" / "flight_watch" / "defaults")
    # the release paths are looked up beside the lookup's own file, which is the real one
    return place
