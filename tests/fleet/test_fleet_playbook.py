# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""upgrade-fleet.yml in a real ansible-playbook, on hosts that are stand-ins (see fleet_stand_in.py): only what the fleet does with them is tested here."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import fleet_stand_in
import pytest

ROOT = Path(__file__).resolve().parents[2]


class Fleet:
    """A fleet of stand-ins below a directory."""

    def __init__(self, place, fates):
        self.place = place
        self.collections = fleet_stand_in.build(place / "collections")
        (place / "state").mkdir()
        (place / "ansible.cfg").write_text("[defaults]\ninject_facts_as_vars = false\n")
        lines = ["%s fate=%s ansible_connection=local" % pair for pair in fates.items()]
        (place / "hosts").write_text("[hosting_servers]\n" + "\n".join(lines) + "\n[canaries]\n%s\n" % list(fates)[-1])

    def run(self, *more, mended=False, playbook="upgrade-fleet.yml", **variables):
        """(exit status, output) of the playbook."""
        given = {"intact_flights_dir": str(self.place / "flights"), "intact_fleets_dir": str(self.place / "fleets"), "intact_become": False, **variables}
        environment = {
            **os.environ,
            "ANSIBLE_CONFIG": str(self.place / "ansible.cfg"),
            "ANSIBLE_COLLECTIONS_PATH": str(self.collections),
            "ANSIBLE_NOCOLOR": "1",
            "ANSIBLE_HOME": str(self.place / "home"),
            "ANSIBLE_LOCALHOST_WARNING": "0",
            "STAND_IN": str(self.place / "state"),
            **({"MENDED": "1"} if mended else {}),
        }
        argv = ["ansible-playbook", "-i", str(self.place / "hosts"), str(ROOT / "playbooks" / playbook), "-e", json.dumps(given), *more]
        done = subprocess.run(argv, env=environment, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, cwd=self.place)
        return done.returncode, done.stdout + done.stderr

    def report(self):
        """The newest fleet's report, and the directory that it lies in."""
        (path,) = sorted((self.place / "fleets").glob("*/fleet.json"))[-1:]
        return json.loads(path.read_text()), path.parent

    def states(self):
        return {row["host"]: row["state"] for row in self.report()[0]["hosts"]}

    def host(self, name):
        """What became of a stand-in: its release, its open flight, the verdict that its flight was closed with."""
        return json.loads((self.place / "state" / (name + ".json")).read_text())

    def touched(self):
        """Hosts whose upgrade was begun, in order."""
        calls = (self.place / "state" / "calls").read_text().splitlines()
        return [line.split()[0] for line in calls if line.endswith("stand_in upgrade")]


@pytest.fixture
def fleet(tmp_path):
    return lambda **fates: Fleet(tmp_path, fates)


def test_a_red_host_lets_its_wave_finish_then_the_fleet_goes_on_to_the_end_and_has_nothing_to_do(fleet):
    lab = fleet(a="ok", b="fails", c="ok", d="ok")
    status, output = lab.run(intact_waves=[1, 2, "100%"])
    assert status != 0 and "STOP before wave 3: b of wave 2 is open (b: the upgrade failed in full: apt said no" in output, output
    assert lab.states() == {"a": "intact", "b": "open", "c": "intact", "d": "untouched"}
    assert lab.touched()[0] == "a" and sorted(lab.touched()) == ["a", "b", "c"]
    model, place = lab.report()
    assert model["hosts"][0]["host"] == "b" and "fleet.html opens on the worst" in output and [w["hosts"] for w in model["waves"]] == [["a"], ["b", "c"]]
    status, output = lab.run(intact_waves=[1, 2, "100%"], mended=True)
    assert status == 0, output
    model, again = lab.report()
    assert again == place and model["word"] == "INTACT" and model["closed"], "the same fleet goes on"
    assert set(lab.states().values()) == {"intact"} and lab.touched()[3:] == ["b", "d"], "the open flight first"
    assert all((place / row["report"]).exists() and row["sentence"].endswith("INTACT") for row in model["hosts"])
    status, output = lab.run()
    assert status == 0 and len(lab.touched()) == 5 and set(lab.states().values()) == {"done"}, output


def test_lost_under_way_alone_in_its_wave_beside_hosts_that_were_left_out(fleet):
    lab = fleet(a="dies", b="refused", c="dark", d="ok")
    status, output = lab.run(intact_waves=[1, "100%"])
    assert status != 0 and "STOP before wave 2: a of wave 1 is lost" in output, output
    assert lab.states() == {"a": "lost", "c": "lost", "b": "refused", "d": "untouched"} and lab.touched() == ["a"]
    rows = {row["host"]: row for row in lab.report()[0]["hosts"]}
    assert rows["b"]["reason"] == "backup: it is not proven" and "does not answer" in rows["c"]["reason"]


def test_the_canary_first_a_refusal_in_a_wave_and_a_loss(fleet):
    lab = fleet(a="red", b="ok", z="refused-later")
    status, output = lab.run(intact_canary="canaries", intact_waves=[1])
    assert status != 0 and lab.states() == {"z": "refused", "a": "loss", "b": "untouched"} and lab.touched() == ["a"], output


def test_a_refusal_stops_the_whole_fleet_when_it_is_told_to(fleet):
    lab = fleet(a="ok", b="refused")
    status, output = lab.run(intact_fleet_on_refusal="stop")
    assert status != 0 and "b was refused before anything flew (backup: it is not proven)" in output, output
    assert lab.touched() == [] and lab.states() == {"a": "untouched", "b": "refused"}


def test_check_mode_changes_nothing_and_wrong_settings_end_it_before_anything_flies(fleet):
    lab = fleet(a="ok")
    status, output = lab.run("--check")
    assert status == 0 and not (lab.place / "fleets").exists(), output
    status, output = lab.run(intact_hosts="nobody")
    assert status != 0 and "has no hosts" in output, output
    status, output = lab.run("--limit", "a")
    assert status != 0 and "intact_hosts and not from --limit" in output, output
    status, output = lab.run(intact_waves=["0"])
    assert status != 0 and "is no size of a wave" in output, output
    assert "closed" not in (lab.place / "state" / "calls").read_text()


def test_one_host_by_upgrade_host_with_a_yes_before_take_off_and_a_watch_afterwards(fleet):
    """The tasks that both playbooks share, around stand-ins for what they do to a host."""
    lab = fleet(a="ok")
    asked = {"distro_upgrade_confirm": [{"before": "gate", "who": "the customer", "how": "approval"}], "intact_watch_hours": 1, "playbook": "upgrade-host.yml"}
    status, output = lab.run(**asked)
    words = " ".join(output.split())
    assert status != 0 and "a: the customer has not approved yet" in words and "nothing was changed on the host" in words, output
    assert lab.touched() == [] and lab.host("a")["verdict"] == "failed" and lab.host("a")["open"] == ""
    status, output = lab.run(**asked, intact_approved_before="gate", intact_approved_by="Ada")
    assert status == 0 and "Ada said yes before gate (for the customer)" in output, output
    told = lab.host("a")
    assert told["release"] == "trixie" and told["open"] and told["journal"][0]["by"] == "Ada"
    status, output = lab.run(**asked)
    assert status == 0 and "watched until 2026-11-23T00:00:00Z; playbooks/close-flight.yml closes its flight" in " ".join(output.split()), output
    status, output = lab.run()
    assert status == 0 and lab.states() == {"a": "watched"} and lab.touched() == ["a"], output


def test_one_host_by_upgrade_host_ends_as_it_always_did(fleet):
    lab = fleet(a="red", b="ok")
    status, output = lab.run(playbook="upgrade-host.yml")
    assert status != 0 and "a: post-flight says NO GO: a site is gone" in output and lab.host("a")["verdict"] == "loss" and lab.touched() == ["a"], output
    status, output = lab.run(playbook="upgrade-host.yml")
    assert status == 0 and "a runs Debian 13 (trixie) already; nothing to do" in " ".join(output.split()) and lab.host("b")["verdict"] == "intact", output


def test_a_release_with_a_minor_version_is_told_which_path_to_name(fleet):
    lab = fleet(a="minor")
    status, output = lab.run(playbook="upgrade-host.yml")
    said = " ".join(output.split())
    assert status and "a runs Almalinux 8.10" in said and "set intact_release_path to almalinux-8-9, or take the host out" in said
