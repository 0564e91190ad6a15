# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The RPM engines with the real dnf, dnf5, zypper and rpm: the installed runner takes a root of its own from one release to the next."""

from __future__ import annotations

import json

import pytest

from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._upgrade import rpm_lab
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._upgrade.rpm_fixture import bases, lab, rooms  # noqa: F401 (fixtures)  # pylint: disable=unused-import

MANAGERS = ["dnf", "dnf5", "zypper"]
DECIDED = [
    {"path": "/etc/lab/kept.conf", "decision": "replace", "reason": "the new form is needed"},
    {"path": "/etc/lab/hard.conf", "decision": "keep", "reason": "ours"},
]


@pytest.fixture(params=MANAGERS)
def room(request, rooms):  # noqa: F811
    """A room with the old release, for each manager."""
    return rooms(request.param)


def names(entries):
    return sorted(entry["name"] for entry in entries)


LONG = "lab-newname-which-is-long-so-that-tables-are-broken-over-two-lines"
LONG_OLD = "lab-oldname-which-is-long-so-that-tables-are-broken-over-two-lines"


def start(room, target="new", plan_for="", accepted=("lab-user",), **settings):
    """Look and install the runner; returns the plan."""
    path = room.path(target)
    plan, findings = room.look(room.path(plan_for or target), conffiles=settings.get("conffiles", []))
    assert [f["title"] for f in findings if f["severity"] == "blocker"] == []
    room.install(path, plan, **dict({"accepted_removals": list(accepted)}, **settings))
    return plan


def blockers(findings):
    return sorted(f["id"] for f in findings if f["severity"] == "blocker")


def test_the_whole_way(room, lab):  # noqa: F811
    """Plan, download, refusals, transaction, files that both sides changed, repositories: as on a host, and then once more with nothing to do."""
    before = room.installed()
    plan = start(room, accepted=(), conffiles=DECIDED)
    assert room.installed() == before
    assert names(plan["upgrade"]) == sorted([*rpm_lab.OLD[:8], "lab-down"])
    assert {e["name"]: (e["from"], e["to"]) for e in plan["upgrade"]}["lab-down"] == ("5-1", "4-1")
    assert names(plan["install"]) == [LONG]
    # Only dnf says what obsoletes what.
    assert {e["name"]: e["replacement"] for e in plan["remove"]}[LONG_OLD] == ("" if room.manager == "zypper" else LONG)
    assert names(plan["remove"]) == [LONG_OLD, "lab-user"]
    files = {c["path"]: (c["local"], c["target"], c["question"], c["decision"]) for c in plan["conffiles"]}
    assert files == {
        "/etc/lab/kept.conf": ("edited", "changed", True, "replace"),
        "/etc/lab/hard.conf": ("edited", "changed", True, "keep"),
        "/etc/lab/same.conf": ("edited", "same", False, ""),
    }
    state = room.fly()
    assert state["status"] == "done", (state["message"], room.log()[-2000:])
    assert room.installed() == rpm_lab.NEW
    results = {name: entry["status"] for name, entry in state["stages"].items()}
    assert [name for name in ("bootstrap", "minimal", "autoremove") if results[name] != "skipped"] == []
    assert [text.split(":")[0] for text in room.notes()] == ["bootstrap", "minimal", "autoremove"]
    # Decided: the package's form in place of ours, and ours in place of what rpm put there. Undecided: nothing was asked.
    assert room.read("/etc/lab/kept.conf") == "package 2\n"
    assert room.read("/etc/lab/hard.conf") == "the operator's\n"
    assert room.read("/etc/lab/same.conf") == "the operator's\n"
    assert room.run(["find", "/etc/lab", "-name", "*.rpm*"]) == ""
    assert room.run(["find", room.directory + "/backup/residue", "-type", "f"]).split()
    assert room.run(["rpmdb", "--verifydb"]) == ""
    assert "show" in room.read("/var/log/systemctl")


def test_files_that_nobody_decided_are_listed_and_stay(room):
    start(room)
    assert room.fly()["status"] == "done"
    left = json.loads(room.read(room.directory + "/residue.json"))
    assert {(e["path"], e["residue"].rsplit(".", 1)[1], e["done"]) for e in left} == {
        ("/etc/lab/kept.conf", "rpmnew", False),
        ("/etc/lab/hard.conf", "rpmsave", False),
    }
    assert room.read("/etc/lab/kept.conf") == "the operator's\n"
    assert room.read("/etc/lab/hard.conf.rpmsave") == "the operator's\n"


def test_after_the_download_no_mirror_is_needed(room, lab):  # noqa: F811
    """From the point of no return on nothing is asked of a network."""
    start(room)
    room.write(room.directory + "/hold", "database-stop\n")
    flight = room.begin()
    room.wait_for_state("held", True)
    lab.asked.clear()
    lab.after = -1
    room.run(["rm", room.directory + "/hold"])
    assert flight.wait() == 0
    assert room.state()["status"] == "done", room.state()["message"]
    assert room.installed() == rpm_lab.NEW
    assert lab.asked == []


def test_a_mirror_that_goes_in_the_middle_of_the_download_stops_before_anything_changes(room, lab):  # noqa: F811
    before = room.installed()
    start(room)
    lab.after = 3
    state = room.fly()
    assert (state["status"], state["stage"], state["point_of_no_return"]) == ("failed", "download", False)
    assert room.installed() == before
    lab.after = None
    room.again()
    assert room.fly()["status"] == "done"
    assert room.installed() == rpm_lab.NEW


def test_a_downloaded_package_that_is_broken_is_fetched_again(room):
    start(room)
    room.write(room.directory + "/hold", "simulate\n")
    flight = room.begin()
    room.wait_for_state("held", True)
    found = room.run(["find", room.directory + "/rpm/cache", "-name", "lab-conf-2*.rpm"]).split()[0]
    room.run(["sh", "-c", "printf spoiled | dd of=%s bs=1 seek=5000 conv=notrunc" % found])
    room.write(room.directory + "/stop", "")
    room.write(room.directory + "/hold", "")
    assert flight.wait() == 0
    assert room.state()["status"] == "stopped"
    room.again()
    assert room.fly()["status"] == "done"
    assert room.installed() == rpm_lab.NEW


def test_a_removal_that_the_plan_does_not_name_is_refused(room, lab):  # noqa: F811
    """The mirror changed after the plan was made: what is protected would go."""
    before = room.installed()
    start(room)
    lab.instead = {"new": "lost"}
    state = room.fly()
    assert (state["status"], state["stage"]) == ("failed", "simulate")
    assert "lab-guard would be removed, which the plan does not name (and it is protected)" in state["message"]
    assert room.installed() == before


def test_a_plan_that_takes_a_protected_package_away_says_so(room):
    plan, _findings = room.look(room.path("lost"))
    assert {e["name"]: e["protected"] for e in plan["remove"]}["lab-guard"] is True


def test_a_daemon_that_would_arrive_is_a_blocker(room):
    _plan, findings = room.look(room.path("daemon"))
    assert blockers(findings) == ["plan.newcomer"]


def test_a_mirror_that_does_not_answer_is_a_blocker_with_its_words(room, lab):  # noqa: F811
    lab.after = -1
    plan, findings = room.look(room.path())
    assert plan is None
    assert blockers(findings) == ["plan.source.unreachable"]
    assert findings[0]["evidence"]


def test_a_script_before_the_installation_that_fails_stops_at_the_third_time_and_names_the_package(room):
    start(room, "pre")
    state = room.fly()
    assert (state["status"], state["stage"]) == ("failed", "full")
    assert state["message"].startswith("lab-script")
    assert "failed three times" in state["message"]
    assert room.log().count("the disk is on fire") >= 3
    # What could be done is done, and nothing is there twice.
    assert "lab-script-1" in room.installed()
    assert "lab-lib-2" in room.installed()


def test_a_script_after_the_installation_that_fails_is_run_again_and_stops_at_the_third_time(room):
    """rpm has the package as installed and would never run its script again: the engine does."""
    start(room, "post")
    state = room.fly()
    assert (state["status"], state["stage"]) == ("failed", "full")
    assert state["message"].startswith("lab-script-2-1.noarch failed three times")
    room.write("/etc/lab/repaired", "")
    room.again()
    state = room.fly()
    assert state["status"] == "done", state["message"]
    assert room.installed() == rpm_lab.NEW


@pytest.mark.parametrize("how", ["power", "manager", "runner"])
def test_a_cut_in_the_middle_of_the_transaction_is_healed(room, how):
    """Power: all processes at once. Manager: kill -9 of dnf or zypper and rpm. Runner: kill -9 of it alone, its command goes on and is waited for."""
    start(room, "slow")
    flight = room.begin()
    room.wait_for("/var/log/lab-slow")
    if how == "power":
        room.cut()
        flight.wait()
        room.start(boot="2")
    elif how == "manager":
        room.kill("python3")
        killed = [room.kill(name) for name in ("dnf", "dnf5", "zypper", "rpm")]
        assert sum(killed) >= 1
        flight.wait()
    else:
        room.kill("python3")
        flight.wait()

    twice = len(room.installed()) - len({name.rsplit("-", 1)[0] for name in room.installed()})
    room.write("/etc/lab/quick", "")
    room.kill("sleep")
    state = room.fly()
    assert state["status"] == "done", (state["message"], room.log()[-3000:])
    assert room.installed() == rpm_lab.NEW
    if twice and how != "runner":
        assert any(note.startswith("healing rpm: installed twice after a cut") for note in room.notes())
    if how != "runner":
        # The script that was cut was run again to its end.
        assert "ran" in room.read("/var/log/lab-slow-ran") or room.read("/etc/lab/quick") == ""
    assert "2" in room.read("/var/log/lab-posttrans").split()


def test_a_disk_that_is_too_small_is_refused_before_anything_changes(room):
    room.run(["mount", "-t", "tmpfs", "-o", "size=200k", "t", "/opt/lab"])
    path = room.path("full")
    plan, _findings = room.look(path)
    room.run(["sh", "-c", "head -c 150000 /dev/zero > /opt/lab/other"])
    room.install(path, plan, accepted_removals=["lab-user"])
    state = room.fly()
    assert (state["status"], state["stage"], state["point_of_no_return"]) == ("failed", "simulate", False)
    assert "/opt/lab has 0 MB free" in state["message"]


def test_a_disk_that_fills_up_in_the_middle_stops_with_what_to_do_and_goes_on(room):
    room.run(["sh", "-c", "mkdir -p /opt/lab && cp /opt/lab/big /tmp/big && mount -t tmpfs -o size=2m t /opt/lab && cp /tmp/big /opt/lab/big"])
    start(room, "full")
    state = room.fly()
    assert (state["status"], state["stage"]) == ("failed", "full"), room.log()[-2000:]
    assert state["message"].startswith("a filesystem is full")
    assert "make room" in state["next"]
    room.run(["rm", "/opt/lab/filler"])
    room.write("/etc/lab/room", "")
    room.again()
    state = room.fly()
    assert state["status"] == "done", (state["message"], room.log()[-2000:])
    assert room.installed() == rpm_lab.NEW


@pytest.fixture
def armed(rooms):  # noqa: F811
    """A room with dnf5 whose runner stored and armed the transaction and asked for the reboot."""
    room = rooms("dnf5")
    # Debian's package leaves the unit out; dnf5 itself has all that it would start.
    room.write("/usr/lib/systemd/system/dnf5-offline-transaction.service", "[Service]\nExecStart=/usr/bin/dnf5 offline _execute\n")
    path = room.path(offline=True)
    plan, _findings = room.look(path)
    room.install(path, plan, reboot=True, accepted_removals=["lab-user"])
    assert room.begin().wait() != 0
    state = room.state()
    assert (state["status"], state["stage"]) == ("waiting-reboot", "full"), (state["message"], room.log()[-2000:])
    assert room.run(["readlink", "/system-update"]).strip() == "/usr/lib/sysimage/libdnf5/offline"
    assert "lab-conf-1" in room.installed()
    room.cut()
    room.start(boot="2")
    return room


def test_dnf5_does_the_transaction_in_a_boot_of_its_own_without_a_mirror(armed, lab):  # noqa: F811
    lab.asked.clear()
    lab.after = -1
    # What the unit of that boot runs.
    armed.run(["env", "DNF_SYSTEM_UPGRADE_NO_REBOOT=1", "dnf5", "offline", "_execute"])
    armed.cut()
    armed.start(boot="3")
    state = armed.fly()
    assert state["status"] == "done", (state["message"], armed.log()[-2000:])
    assert armed.installed() == rpm_lab.NEW
    assert lab.asked == []
    assert state["stages"]["reboot"]["status"] == "skipped"


def test_an_upgrade_boot_that_did_nothing_is_told_and_the_next_start_goes_on_in_the_running_system(armed):
    state = armed.fly()
    assert (state["status"], state["stage"]) == ("failed", "full")
    assert state["message"].startswith("the upgrade boot did not do its work")
    assert armed.run(["sh", "-c", "test -e /system-update || echo gone"]) == "gone\n"
    armed.again()
    # It ends with the reboot that the runner asks for.
    armed.begin().wait()
    assert armed.installed() == rpm_lab.NEW
