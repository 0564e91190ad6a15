# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""After the upgrade: what customers have is what they had, by a witness that shares no code with the project."""

from __future__ import annotations

import gzip
import json
import os
import re
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
import nervous

RESULTS = Path(os.environ["MOLECULE_EPHEMERAL_DIRECTORY"])
testinfra_hosts = ["web1.lab.test"]


def load(name):
    return json.loads((RESULTS / name).read_text())


@pytest.fixture(scope="module")
def before():
    return load("witness-checked.json")


@pytest.fixture(scope="module")
def after():
    return load("witness-upgraded.json")


@pytest.fixture(scope="module")
def flight():
    found = sorted((RESULTS / "flights").glob("*-upgrade-*/report.html"))
    assert len(found) == 1, "interrupted runs must all be one flight"
    return found[0].parent


def test_the_release_is_the_target(host, after):
    assert after["release"] == ["trixie"]
    assert host.check_output("dpkg --audit") == ""
    assert host.run("apt-get check").rc == 0
    assert host.check_output("systemctl is-system-running") == "running", host.check_output("systemctl --failed --no-legend")


@pytest.mark.parametrize("what", ["home", "sites", "databases", "postgresql", "messages", "queue", "lists", "zones", "crontabs"])
def test_nothing_of_the_customers_differs(before, after, what):
    assert before[what], "the witness saw nothing before"
    assert before[what] == after[what]


def test_accounts_are_all_there(before, after):
    assert set(before["accounts"]) <= set(after["accounts"])


def test_every_service_answers():
    """The lab's own questions, over the network: sites with both families, mail logins, zones, database logins."""
    asked = load("asked.json")
    assert asked["rc"] == 0, asked["out"]


def test_the_plan_told_the_truth(flight, before, after):
    """Packages that went, came and stayed are those that --check named."""
    plan = json.loads((flight / "plan.json").read_text())

    def names(witness):
        rows = [row.split() for row in witness["packages"]]
        return {row[1] for row in rows if row[0].startswith(("ii", "hi"))}

    def planned(*keys):
        return {entry if isinstance(entry, str) else entry["name"] for key in keys for entry in plan.get(key, [])}

    gone, came = names(before) - names(after), names(after) - names(before)
    assert gone <= planned("remove", "autoremove")
    assert planned("remove") <= gone
    assert came == planned("install") - planned("autoremove") - (planned("install") - names(after))
    assert came <= planned("install")


def test_ctrl_c_was_pressed_in_each_stage(flight):
    entries = load("interrupts.json")
    pressed = [entry["stage"] for entry in entries]
    of_the_host = [stage.removeprefix("host: ") for stage in pressed if stage.startswith("host: ")]
    assert of_the_host == list(nervous._stages.ORDER)
    assert set(pressed) - {f"host: {stage}" for stage in of_the_host} == set(nervous.TASKS.values())
    assert [entry["stage"] for entry in entries if entry["stage"].startswith("host: ") and not entry["held"]] == [f"host: {stage}" for stage in nervous.AT_WORK]


def test_no_package_stage_was_done_twice(flight):
    events = [json.loads(line) for line in (flight / "journal.jsonl").read_text().splitlines()]
    starts = [event["stage"] for event in events if event["event"] == "stage.start"]
    for stage in ("minimal", "full"):
        assert starts.count(stage) == 1, starts


def test_the_second_run_has_nothing_to_do_and_says_so():
    second = load("second.json")
    assert second["rc"] == 0, second["out"][-3000:]
    assert re.search(r"runs Debian 13 \(trixie\) already; nothing to do", second["out"])
    assert re.search(r"web1\.lab\.test\s*:.*changed=0 .*failed=0", second["out"])


def test_the_host_really_rebooted(flight):
    events = [json.loads(line) for line in (flight / "journal.jsonl").read_text().splitlines()]
    assert len({event["boot"] for event in events if event.get("boot")}) == 2


def test_report_and_verdict(flight):
    report = json.loads((flight / "report.json").read_text())
    assert "INTACT" in json.dumps(report["verdict"]).upper()
    page = (flight / "report.html").read_text()
    assert "INTACT" in page.upper()
    assert not re.search(r"(src|href)\s*=\s*[\"']https?://", page)


def test_every_section_was_compared(flight):
    comparison = json.loads((flight / "comparison.json").read_text())
    wanted = {
        "disks", "mounts", "network", "resolver", "accounts", "packages", "integrity", "services", "runtimes", "sockets", "sites", "tls", "mail", "queue",
        "lists", "dns", "databases", "cron", "rotation", "firewall", "confinement", "sysctl", "files", "resources",
    }  # fmt: skip
    assert {entry["section"] for entry in comparison["sections"]} == wanted
    assert all(entry["status"] in ("ok", "partial") for entry in comparison["sections"]), comparison["sections"]
    # a container's load is that of the machine, which runs other scenarios meanwhile
    assert [finding for finding in comparison["findings"] if finding["id"] != "resources.load.high"] == []
    assert all(entry["reason"] for entry in comparison["allowed"])
    with gzip.open(flight / "baseline-before.json.gz") as handle:
        assert json.load(handle)["sections"]["files"]["data"]["items"]


def test_outages_were_seen_from_outside(flight):
    outages = json.loads((flight / "outages.json").read_text())
    kinds = {target["kind"] for target in outages["targets"]}
    assert {"http", "smtp", "imap", "dns", "mysql"} <= {kind.replace("https", "http") for kind in kinds}
    assert all(target["polls"] > 10 for target in outages["targets"])
    assert sum(target["total_seconds"] for target in outages["targets"]) > 0, "a reboot without any outage was not observed"


def test_no_scaffolding_is_left(host):
    for path in ("/usr/sbin/policy-rc.d", "/etc/systemd/system/intact-upgrade.service", "/etc/systemd/system/intact-upgrade.timer"):
        assert not host.file(path).exists, path
    current = host.file("/var/lib/intact/flights/current")
    assert not current.exists or not current.content_string.strip(), "the flight is still open"


def test_a_schedule_through_ansible_runner_says_the_same():
    awx = load("awx.json")
    assert awx["rc"] == 0, awx["out"][-4000:]
    assert re.search(r"web1\.lab\.test post-flight: GO ", awx["out"])


def test_passwords_of_the_lab_are_in_no_document(flight):
    for path in flight.rglob("*"):
        if path.is_file():
            data = path.read_bytes()
            data = gzip.decompress(data) if data[:2] == b"\x1f\x8b" else data
            assert b"lab-probe" not in data, path
