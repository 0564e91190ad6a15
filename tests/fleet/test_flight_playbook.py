# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What upgrade-host.yml, close-flight.yml and the role rollback do with snapshots, dead-man checks and verdicts when something goes wrong in between.

The hosts are stand-ins (see fleet_stand_in.py); the playbooks and Ansible are real.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess

import fleet_stand_in
import pytest
from test_fleet_playbook import ROOT, Fleet

LVM = {"driver": "lvm", "automatic": True}


@pytest.fixture
def lab(tmp_path, monkeypatch):
    """lab(fate, ...what the stand-in is) gives one host; lab.fly() runs upgrade-host.yml, lab.calls() what was asked of it, in order."""

    def make(fate="ok", **state):
        made = Fleet(tmp_path, {"a": fate})
        if state:
            (tmp_path / "state" / "a.json").write_text(json.dumps(state))
        made.calls = lambda: [line.partition(" ")[2] for line in (tmp_path / "state" / "calls").read_text().splitlines()]
        made.fly = lambda **more: made.run(playbook="upgrade-host.yml", **{"intact_rollback": LVM, **more})
        made.say = monkeypatch.setenv
        made.mend = monkeypatch.delenv
        return made

    return make


def test_between_two_releases_the_alarm_is_off_and_the_snapshot_goes_only_when_the_next_may_begin(lab):
    one = lab(release="bullseye")
    status, output = one.fly(intact_target_release="13")
    assert status == 0, output
    calls = [call for call in one.calls() if call.split()[0] in ("stand_in", "dead_man", "flight_hop", "rollback", "flight")]
    assert calls == [
        "flight open",
        "stand_in preflight",
        "stand_in upgrade",
        "stand_in postflight",
        "dead_man disarmed",
        "flight_hop Debian 13 (asked)",
        "rollback dropped",
        "flight_hop Debian 13",
        "stand_in preflight",
        "stand_in upgrade",
        "stand_in postflight",
        "dead_man disarmed",
        "rollback dropped",
        "flight closed",
        "stand_in report",
    ]
    assert one.host("a")["verdict"] == "intact" and one.host("a")["release"] == "trixie"


def test_the_second_release_is_gone_on_with_also_where_the_first_ones_path_was_named(lab):
    hop = {"event": "flight.hop", "number": 2, "source": "Debian 12", "target": "Debian 13"}
    one = lab(release="bookworm", open="a-upgrade-20261122t1134z", first="bullseye", hop=2, journal=[hop])
    status, output = one.fly(intact_target_release="13", intact_release_path="debian-11-12")
    assert status == 0 and one.calls().count("stand_in upgrade") == 1 and one.host("a")["verdict"] == "intact", output


@pytest.mark.parametrize("only_told", [False, True])
def test_a_red_first_release_goes_back_with_the_snapshot_that_it_has(lab, only_told):
    """Also when the gate was told not to stop the run: the way back is not let go before it is known that the next release may begin."""
    one = lab("red", release="bullseye")
    if only_told:
        one.say("ONLY_TOLD", "1")
    status, output = one.fly(intact_target_release="13", postflight_gate_enabled=not only_told)
    calls = one.calls()
    assert status != 0 and "rollback dropped" not in calls and "flight_hop Debian 13" not in calls, output
    assert calls.count("stand_in upgrade") == 1 and calls.count("stand_in rollback") == 1
    assert one.host("a")["verdict"] == "rolled-back"


def test_what_cannot_go_back_is_said_beside_the_verdict_stays_open_and_is_tried_again(lab):
    one = lab("stays")
    status, output = one.fly()
    assert status != 0 and "a site is gone Going back did not end well: a: the snapshot ran full" in output and "stays open" in output, output
    assert one.calls()[-1] == "stand_in report" and one.host("a")["open"] and "verdict" not in one.host("a")
    one.say("MENDED", "1")
    status, output = one.fly()
    assert status != 0 and one.host("a")["verdict"] == "rolled-back" and not one.host("a")["open"], output


def test_an_alarm_that_cannot_be_called_off_hinders_nobody_from_going_back(lab):
    one = lab("red")
    one.say("NO_DISARM", "1")
    status, output = one.fly()
    assert status != 0 and "its alarm may come: Read-only" in output and one.host("a")["verdict"] == "rolled-back", output


def test_a_host_that_went_back_and_differs_has_its_report_and_is_closed(lab):
    one = lab("differs")
    status, output = one.fly()
    assert status != 0 and "a site is gone Going back did not end well: a: rollback says NO GO" in output and "stays open" not in output, output
    assert one.calls()[-1] == "stand_in report" and one.host("a")["verdict"] == "rolled-back"


def test_going_back_that_was_cut_is_ended_and_not_taken_for_an_upgrade(lab):
    one = lab("red")
    one.say("CUT", "1")
    assert one.fly()[0] != 0
    assert one.host("a")["open"] and one.host("a")["went_back"]
    one.mend("CUT")
    before = len(one.calls())
    status, output = one.fly()
    after = one.calls()[before:]
    assert status != 0 and "went back to the system before this flight" in output and "stays open" not in output, output
    assert "stand_in upgrade" not in after and "stand_in postflight" not in after and "stand_in preflight" not in after
    assert one.host("a")["verdict"] == "rolled-back" and after[-1] == "stand_in report"


def test_the_fleet_says_that_a_host_went_back(lab):
    one = lab("red")
    status, output = one.run(intact_rollback=LVM)
    assert status != 0 and one.states() == {"a": "rolled-back"}, output


def test_a_snapshot_that_cannot_be_let_go_leaves_the_flight_open_and_is_tried_again(lab):
    flight = "a-upgrade-20261122t1134z"
    one = lab(release="trixie", open=flight, begun=True, watched=True, sticks=True)
    status, output = one.run(playbook="close-flight.yml", intact_rollback=LVM)
    assert status != 0 and "the volume is in use" in output and one.host("a")["open"] == flight, output
    (one.place / "state" / "a.json").write_text(json.dumps(dict(one.host("a"), sticks=False)))
    status, output = one.run(playbook="close-flight.yml", intact_rollback=LVM)
    assert status == 0 and one.host("a")["verdict"] == "intact", output
    assert one.calls().index("rollback dropped") < one.calls().index("flight closed")


def test_a_watch_that_ends_red_keeps_the_snapshot(lab):
    one = lab(release="trixie", open="a-upgrade-20261122t1134z", begun=True, watched=True, watch_verdict="loss")
    status, output = one.run(playbook="close-flight.yml", intact_rollback=LVM)
    assert status != 0 and one.host("a")["verdict"] == "loss" and "rollback dropped" not in one.calls(), output


# Answers as a host does that is sent back: still the new system, then away, then the old one.
STARTING = """
import os
from ansible.errors import AnsibleConnectionFailure
from ansible_collections.intact.hosting.plugins.plugin_utils import _patience

_patience.WAIT = 0.01

class ActionModule(_patience.PatientAction):
    def _execute_module(self, task_vars=None, **more):
        with open(os.environ["STAND_IN"] + "/asked", "a+") as handle:
            handle.write("x")
            handle.seek(0)
            asked = len(handle.read())
        answer = {"changed": False, "flight_id": "a-upgrade-1", "driver": "lvm", "name": "intact-a", "taken": "x", "refusals": [], "lines": []}
        if asked == 1 or os.environ.get("NEVER") and asked == 2:
            return dict(answer, position="new" if asked == 1 else "switched")
        if asked < 5 or os.environ.get("NEVER"):
            raise AnsibleConnectionFailure("Failed to connect to the host via ssh: Connection refused")
        return dict(answer, position="old")
"""
SETTLE = """
from ansible.plugins.action import ActionBase

class ActionModule(ActionBase):
    _requires_connection = False

    def run(self, tmp=None, task_vars=None):
        settled = self._task.args.get("state") == "settled"
        return {"failed": settled, "msg": "settling", "changed": True, "lines": [], "settled": settled}
"""


def test_going_back_by_hand_to_what_differs_has_its_report(lab):
    one = lab("differs", release="trixie", open="a-upgrade-20261122t1134z", begun=True)
    status, output = one.run(playbook="roll-back-host.yml", intact_hosts="a")
    assert status != 0 and one.host("a")["verdict"] == "rolled-back" and one.calls()[-1] == "stand_in report", output


@pytest.mark.parametrize("never", [False, True])
def test_an_old_system_that_is_starting_is_waited_for(tmp_path, monkeypatch, never):
    """A refused connection is how a reboot looks like: until alone asks only a host that answers."""
    home = fleet_stand_in.build(tmp_path / "collections") / "ansible_collections" / "intact" / "hosting"
    shutil.rmtree(home / "roles" / "rollback")
    (home / "roles" / "rollback").symlink_to(fleet_stand_in.REAL / "roles" / "rollback")
    for name, text in (("rollback_info", STARTING), ("rollback", SETTLE)):
        path = home / "plugins" / "action" / (name + ".py")
        if path.exists() or path.is_symlink():
            path.unlink()
        path.write_text(text)
    play = [
        {
            "hosts": "all",
            "gather_facts": False,
            "tasks": [
                {
                    "ansible.builtin.include_role": {"name": "intact.hosting.rollback"},
                    "vars": {
                        "rollback_confirm": "a-upgrade-1",
                        "rollback_flights_dir": str(tmp_path),
                        "rollback_reboot_seconds": 1 if never else 60,
                        "rollback_settle_seconds": 60,
                    },
                }
            ],
        }
    ]
    (tmp_path / "play.yml").write_text(json.dumps(play))
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "a.json").write_text("{}")
    if never:
        monkeypatch.setenv("NEVER", "1")
    environment = {
        **os.environ,
        "ANSIBLE_COLLECTIONS_PATH": str(home.parents[2]),
        "ANSIBLE_HOME": str(tmp_path / "home"),
        "ANSIBLE_NOCOLOR": "1",
        "STAND_IN": str(tmp_path / "state"),
    }
    argv = ["ansible-playbook", "-i", "a,", "-c", "local", str(tmp_path / "play.yml")]
    done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=tmp_path, timeout=300)
    output = done.stdout + done.stderr
    if never:
        assert "does not answer 1 s after it was sent back" in output and "Put the rest back" not in output, output
    else:
        assert "Put the rest back" in output and "UNREACHABLE" not in output, output
        assert (ROOT / "playbooks").exists()
