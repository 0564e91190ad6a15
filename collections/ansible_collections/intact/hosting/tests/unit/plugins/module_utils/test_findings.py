# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The gate: what a waiver waives, what an expired one does, and a table that fits."""

from __future__ import annotations

import datetime

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError, gate, parse_time, table

NOW = datetime.datetime(2026, 11, 22, 12, 0, tzinfo=datetime.timezone.utc)


def finding(severity="blocker", subject="/home", **more):
    return Finding("mounts.missing", severity, subject, "not mounted", "seen", "mount it", **more)


def waiver(**more):
    return dict({"id": "mounts.missing", "subject": "/home", "reason": "r", "who": "w", "expires": "2026-12-01"}, **more)


@pytest.mark.parametrize(
    "findings, waivers, go, statuses",
    [
        ([], [], True, []),
        ([finding("warning")], [], True, ["open"]),
        ([finding()], [], False, ["open"]),
        ([finding()], [waiver()], True, ["waived"]),
        ([finding()], [waiver(subject="/h*")], True, ["waived"]),
        ([finding()], [waiver(subject="/srv")], False, ["open"]),
        ([finding()], [waiver(id="mounts.*")], False, ["open"]),
        ([finding()], [waiver(expires="2026-11-21")], False, ["expired"]),
        ([finding("warning")], [waiver(expires="2026-11-21")], False, ["expired"]),
        ([finding()], [waiver(expires="2026-11-21"), waiver()], True, ["waived"]),
    ],
)
def test_gate(findings, waivers, go, statuses):
    verdict = gate(findings, waivers, NOW)
    assert verdict["go"] is go
    assert [e["status"] for e in verdict["findings"]] == statuses


def test_a_waiver_holds_through_its_last_day():
    assert gate([finding()], [waiver(expires="2026-11-22")], NOW)["go"] is True


@pytest.mark.parametrize("broken", [{"who": ""}, {"reason": None}, {"expires": "soon"}, {"id": "*"}])
def test_unreadable_waivers_are_refused(broken):
    with pytest.raises(IntactError):
        gate([], [waiver(**broken)], NOW)


def test_an_expired_waiver_says_so():
    entry = gate([finding()], [waiver(expires="2026-11-01")], NOW)["findings"][0]
    assert "expired on 2026-11-01" in entry["remedy"] and "w" in entry["remedy"]


def test_table_puts_blockers_first_and_fits():
    long = finding(subject="/home/" + "x" * 60)
    lines = table(gate([finding("warning", "/a"), long], [], NOW), "web1", width=80)
    assert lines[0].startswith("web1 gate: NO GO  (1 blockers, 1 warnings")
    assert lines[1].startswith("BLOCK")
    assert max(map(len, lines)) <= 80
    assert any("do: mount it" in line for line in lines)


def test_severity_and_time_are_checked():
    with pytest.raises(ValueError):
        finding("fatal")
    assert parse_time("2026-11-22T13:00:00+01:00") == NOW


def test_who_waives_a_warning_does_not_waive_the_losses_below_it():
    below = [Finding("files.missing", severity, "/home/" + severity, "gone").as_dict() for severity in ("blocker", "warning")]
    raised = finding(details={"alone": "warning"}, consequences=below)
    verdict = gate([raised], [waiver()], NOW)
    assert not verdict["go"] and [(f["id"], f["status"]) for f in verdict["findings"]] == [("files.missing", "open"), ("mounts.missing", "waived")]
    assert [c["subject"] for c in verdict["findings"][1]["consequences"]] == ["/home/warning"]
    # each by its own waiver
    assert gate([raised], [waiver(), waiver(id="files.missing", subject="/home/*")], NOW)["go"]
    # who waived the loss of a mount waived what was on it
    assert gate([finding(consequences=below)], [waiver()], NOW)["go"]
