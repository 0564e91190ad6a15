# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a watcher makes of what it hears, and of not hearing it."""

from __future__ import annotations

import json

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _state, _watch


def heard(status, units="active\nactive", **fields):
    """What COMMAND prints."""
    state = dict(_state.fresh("f-1"), status=status, stage="full", **fields)
    return "%s\n\n--intact-units--\n%s\n%s\n" % (json.dumps(state), units, _watch.END)


def test_a_watcher_goes_on_until_the_runner_is_done():
    watch = _watch.Watch("web1", 100)
    assert watch.heard(heard("running"), 0) is None
    assert watch.lost("no route", 10) is None
    assert not watch.reachable
    assert watch.heard(heard("waiting-reboot"), 50) is None
    assert watch.gaps[0]["seconds"] == 40
    verdict = watch.heard(heard("done"), 60)
    assert verdict["changed"]
    assert not verdict.get("failed")


def test_a_watcher_says_where_it_failed_and_what_is_next():
    verdict = _watch.Watch("web1", 100).heard(heard("failed", message="disk full", next="make room", last_lines=["tar: x"]), 0)
    assert verdict["failed"]
    assert all(word in verdict["msg"] for word in ("web1", "full", "disk full", "make room", "tar: x"))


def test_a_watcher_of_a_host_that_went_back_does_not_wait_for_an_upgrade_nor_ask_for_one():
    verdict = _watch.Watch("web1", 100).heard(heard("rolled-back", units="inactive\ninactive"), 0)
    assert verdict["failed"] and "roll-back-host.yml" in verdict["msg"] and "tart the upgrade" not in verdict["msg"]


def test_a_watcher_gives_up_on_a_host_that_stays_away_and_says_that_nothing_is_lost():
    watch = _watch.Watch("web1", 100)
    watch.heard(heard("running"), 0)
    assert watch.lost("timed out", 10) is None
    verdict = watch.lost("timed out", 120)
    assert verdict["failed"]
    assert "Nothing is lost" in verdict["msg"]
    assert "in full" in verdict["msg"]


def test_a_watcher_notices_that_nobody_works():
    watch = _watch.Watch("web1", 100)
    verdicts = [watch.heard(heard("running", units="inactive\ninactive"), n) for n in range(_watch.GONE)]
    assert verdicts[:-1] == [None] * (_watch.GONE - 1)
    assert "start the upgrade again" in verdicts[-1]["msg"].lower()


def test_a_state_that_is_not_there_yet_is_waited_for():
    watch = _watch.Watch("web1", 100)
    assert watch.heard("cat: no such file\n\n--intact-units--\nactivating\nactive\n%s\n" % _watch.END, 0) is None


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_a_watcher_reads_the_answer_of_a_terminal_too(ending):
    """SSH gives a command a terminal: its lines end with CR LF."""
    watch = _watch.Watch("web1", 1800)
    answer = ending.join(['{"status": "running", "stage": "full"}', "", "--intact-units--", "active", "active", _watch.END, ""])
    for moment in range(_watch.GONE + 2):
        assert watch.heard(answer, moment) is None
    assert watch.state["stage"] == "full"
