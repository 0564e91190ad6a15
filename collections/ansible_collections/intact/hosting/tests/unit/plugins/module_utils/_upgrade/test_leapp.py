# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""leapp's report as our findings, and the engine with a stand-in for leapp, which cannot be installed here. rpm and dnf below it are real."""

from __future__ import annotations

import json

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _leapp, _leapp_report
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._upgrade.rpm_fixture import bases, lab, rooms  # noqa: F401 (fixtures)  # pylint: disable=unused-import

ENTRY = {
    "hostname": "web1.example",
    "timeStamp": "2026-11-23T18:00:00.000000Z",
    "actor": "check_something",
    "audience": "sysadmin",
    "severity": "high",
    "id": "9f" * 32,
    "title": "A driver is gone",
    "summary": "The driver of this controller\nis not in the next release.",
}
INHIBITOR = dict(
    ENTRY,
    title="Remote root login is not as it must be",
    groups=["inhibitor", "security"],
    key="0a1b2c3d4e5f60718293a4b5c6d7e8f901234567",
    detail={
        "remediations": [{"type": "hint", "context": "Write the setting down"}, {"type": "command", "context": ["sh", "-c", "echo x >> /etc/y"]}],
        "related_resources": [{"scheme": "file", "title": "/etc/ssh/sshd_config"}],
    },
)
# A stand-in: it writes the report and the list of packages that the test put beside it, as leapp does, and ends as it was told. It arms no boot.
LEAPP = """#!/bin/sh
# Stand-in for leapp.
echo "$*" >> /var/log/leapp-asked
mkdir -p /var/log/leapp
[ -e /etc/lab/silent ] || cp /etc/lab/report.json /var/log/leapp/leapp-report.json
cp /etc/lab/packages.json /var/log/leapp/dnf-plugin-data.txt
exit "$(cat "/etc/lab/status-$1" 2>/dev/null || echo 0)"
"""
PACKAGES = {"to_install": ["lab-newname"], "to_remove": ["lab-user", "lab-not-there"], "to_upgrade": ["lab-lib", "lab-conf"]}


def report(*entries):
    return json.dumps({"leapp_run_id": "f3c5841f", "entries": list(entries)})


def test_what_stops_leapp_is_a_blocker_with_its_own_remedy():
    found = _leapp_report.findings(_leapp_report.parse(report(ENTRY, INHIBITOR).encode()))
    assert [(f.id, f.severity, f.subject) for f in found] == [
        ("leapp.0a1b2c3d4e5f", "blocker", INHIBITOR["title"]),
        ("leapp.9f9f9f9f9f9f", "warning", ENTRY["title"]),
    ]
    assert found[0].remedy == "Write the setting down; run: sh -c 'echo x >> /etc/y'"
    assert found[0].details["resources"] == ["/etc/ssh/sshd_config"]
    assert found[1].evidence == "The driver of this controller is not in the next release."
    assert "/var/log/leapp/leapp-report.txt" in found[1].remedy


@pytest.mark.parametrize(
    ("more", "severity"),
    [
        ({"flags": ["inhibitor"], "tags": ["drivers"]}, "blocker"),
        ({"groups": ["error"], "severity": "info"}, "blocker"),
        ({"severity": "medium"}, "warning"),
        ({"severity": "low", "groups": ["failure"]}, "info"),
        ({"severity": "info"}, "info"),
        ({"severity": "a new one"}, "warning"),
    ],
)
def test_all_schemas_and_severities_are_understood(more, severity):
    assert _leapp_report.finding(dict(ENTRY, **more)).severity == severity


@pytest.mark.parametrize("data", [b"", b"[]", b"{}", b'{"entries": [1]}', b'{"entries": [{"title": "x"}]}', b'{"entries": 5}', b"\xff"])
def test_what_is_no_report_is_an_error_and_never_no_findings(data):
    with pytest.raises(IntactError, match="leapp's report cannot be read"):
        _leapp_report.parse(data)


def test_the_list_of_packages_names_only_what_is_installed():
    there = [{"name": name, "arch": "noarch", "version": "1-1", "bytes": 0, "order": (1, 1), "late": False} for name in ("lab-user", "lab-lib")]
    would = _leapp_report.packages(json.dumps({"pkgs_info": PACKAGES}).encode(), there)
    assert [e["name"] for e in would["remove"]] == ["lab-user"]
    assert [e["name"] for e in would["upgrade"]] == ["lab-lib"]
    assert [e["name"] for e in would["install"]] == ["lab-newname"]
    assert _leapp_report.packages(None, there) is None
    with pytest.raises(IntactError):
        _leapp_report.packages(b"{}", there)


def test_the_release_is_read_from_os_release():
    assert _leapp.release_of('ID="almalinux"\nVERSION_ID="9.4"\n') == "9.4"
    assert _leapp.release_of("") == ""


@pytest.fixture
def room(rooms):  # noqa: F811
    """A room with the stand-in, whose report has a warning."""
    made = rooms("leapp")
    made.write("/usr/bin/leapp", LEAPP, "755")
    made.write("/etc/lab/report.json", report(ENTRY))
    made.write("/etc/lab/packages.json", json.dumps({"pkgs_info": PACKAGES}))
    return made


def start(room):
    plan, findings = room.look(room.path())
    assert [f["id"] for f in findings if f["severity"] == "blocker"] == []
    room.install(room.path(), plan, reboot=True)
    return plan


def boot(room, outcome):
    """The end of the old boot and the beginning of the next; outcome: what leapp's upgrade boot did meanwhile."""
    room.cut()
    room.start(boot="2")
    if outcome == "done":
        # The real packages, by the real dnf: what leapp's initramfs does with dnf's library.
        room.run(["dnf", "-y", "--releasever=new", "distro-sync", "--allowerasing"])
        room.write("/etc/os-release", 'ID=lab\nVERSION_ID="new.4"\n')
    if outcome == "mark":
        room.write("/root/tmp_leapp_py3/.leapp_upgrade_failed", "")


def test_a_report_that_stops_is_a_blocker_of_the_plan(room):
    room.write("/etc/lab/report.json", report(ENTRY, INHIBITOR))
    plan, findings = room.look(room.path())
    assert [(f["severity"], f["id"]) for f in findings][0] == ("blocker", "leapp.0a1b2c3d4e5f")
    assert [e["name"] for e in plan["remove"]] == ["lab-user"]


def test_an_old_report_is_not_taken_for_a_new_one(room):
    room.look(room.path())
    room.run(["touch", "-d", "2020-01-01", "/var/log/leapp/leapp-report.json"])
    room.write("/etc/lab/silent", "")
    plan, findings = room.look(room.path())
    assert plan is None
    assert "wrote no report" in findings[0]["evidence"]


def test_a_host_without_leapp_is_told_what_to_install(room):
    room.run(["rm", "/usr/bin/leapp"])
    plan, findings = room.look(room.path())
    assert plan is None
    assert findings[0]["evidence"] == "leapp is not installed on this host"


def test_the_whole_way_over_the_upgrade_boot_and_the_resume_service(room):
    start(room)
    # The stand-in for systemctl ends the runner as init would.
    assert room.begin().wait() != 0
    state = room.state()
    assert (state["status"], state["stage"], state["point_of_no_return"]) == ("waiting-reboot", "full", True)
    assert room.read("/var/log/leapp-asked").split() == ["preupgrade", "preupgrade", "upgrade"]
    boot(room, "done")
    room.write("/etc/systemd/system/leapp_resume.service", "[Service]\n")
    flight = room.begin()
    room.wait_for_state("message", "waiting for leapp_resume.service")
    assert flight.poll() is None
    room.run(["rm", "/etc/systemd/system/leapp_resume.service"])
    assert flight.wait() == 0
    state = room.state()
    assert state["status"] == "done", state["message"]
    assert state["stages"]["reboot"]["status"] == "skipped"
    assert room.read("/var/log/leapp-asked").split() == ["preupgrade", "preupgrade", "upgrade"]


@pytest.mark.parametrize(("outcome", "said"), [("mark", "leapp's upgrade boot failed"), ("nothing", "the host came back on release old")])
def test_an_upgrade_boot_that_failed_stops_with_what_to_read(room, outcome, said):
    start(room)
    room.begin().wait()
    boot(room, outcome)
    state = room.fly()
    assert (state["status"], state["stage"]) == ("failed", "full")
    assert state["message"].startswith(said)
    assert "leapp-upgrade.log" in state["next"]
    # Another attempt arms another boot.
    room.run(["rm", "-rf", "/root/tmp_leapp_py3"])
    room.again()
    room.begin().wait()
    assert room.read("/var/log/leapp-asked").split().count("upgrade") == 2


def test_an_inhibitor_that_came_after_the_plan_stops_before_the_point_of_no_return(room):
    start(room)
    room.write("/etc/lab/report.json", report(INHIBITOR))
    state = room.fly()
    assert (state["status"], state["stage"], state["point_of_no_return"]) == ("failed", "simulate", False)
    assert state["message"] == "leapp refuses: Remote root login is not as it must be"
    assert "upgrade" not in room.read("/var/log/leapp-asked").split()


def test_a_removal_that_came_after_the_plan_stops_before_the_point_of_no_return(room):
    start(room)
    room.write("/etc/lab/packages.json", json.dumps({"pkgs_info": dict(PACKAGES, to_remove=["lab-guard"])}))
    state = room.fly()
    assert (state["status"], state["stage"], state["point_of_no_return"]) == ("failed", "simulate", False)
    assert "lab-guard would be removed" in state["message"]


def test_leapp_that_fails_arms_nothing_and_is_told(room):
    start(room)
    room.write("/etc/lab/status-upgrade", "1")
    state = room.fly()
    assert (state["status"], state["stage"]) == ("failed", "full")
    assert "leapp upgrade ended with status 1" in state["message"]
    assert "reboot" not in room.read("/var/log/systemctl").split()
