# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The stages of an upgrade: their order and shares."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _stages


def finished(*names):
    """Stages of which these are done."""
    return {name: {"status": "ok" if name in names else ""} for name in _stages.ORDER}


def test_stages_are_done_in_order_and_a_failed_one_is_next():
    assert _stages.following(finished()) == "bind"
    assert _stages.following(finished("bind", "snapshot", "quiesce")) == "patch-source"
    stages = finished(*_stages.ORDER)
    assert _stages.following(stages) is None
    stages["full"]["status"] = "failed"
    assert _stages.following(stages) == "full"
    assert _stages.following(dict(finished("bind", "snapshot"), quiesce={"status": "skipped"})) == "patch-source"


def test_percent_goes_from_nothing_to_all():
    assert _stages.percent(finished()) == 0
    assert _stages.percent(finished(*_stages.ORDER)) == 100
    assert _stages.percent(finished("bind"), 0.5) > _stages.percent(finished("bind"))


def test_sources_are_staged_before_anything_is_downloaded_and_committed_after_everything_is_installed():
    order = list(_stages.ORDER)
    for earlier, later in (
        ("quiesce", "patch-source"),
        ("stage-sources", "download"),
        ("download", "point-of-no-return"),
        ("simulate", "point-of-no-return"),
        ("point-of-no-return", "bootstrap"),
        ("database-stop", "bootstrap"),
        ("carry", "full"),
        ("minimal", "full"),
        ("full", "target-files"),
        ("target-files", "commit-sources"),
        ("commit-sources", "reboot"),
        ("reboot", "unquiesce"),
    ):
        assert order.index(earlier) < order.index(later)


def test_the_third_failure_of_the_same_package_is_one_too_many():
    attempts, given_up = _stages.after_failures({}, ["a", "b"])
    attempts, given_up = _stages.after_failures(attempts, ["a"])
    assert given_up == []
    attempts, given_up = _stages.after_failures(attempts, ["a", "c"])
    assert given_up == ["a"]
