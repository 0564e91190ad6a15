# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A look from before there were some sections: not red, for nothing was lost, and not green, for nothing was compared."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _findings
from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare
from ansible_collections.intact.hosting.plugins.module_utils._baseline._registry import PROBES
from ansible_collections.intact.hosting.plugins.module_utils._report import _html, _load, _model
from ansible_collections.intact.hosting.tests.unit.plugins import flight_fixture as fixture

OK = {"status": "ok", "data": {"items": {}, "summary": {}}}


def compared(before, after, rules=()):
    documents = [{"sections": {name: dict(OK) for name in names}} for names in (before, after)]
    return _compare.compare(*documents, PROBES, rules)


def test_an_earlier_look_without_them_is_a_warning_for_each():
    result = compared(set(PROBES) - set(_compare.LATER), PROBES)
    assert sorted((f.id, f.severity) for f in result["findings"]) == sorted((name + ".unknown", "warning") for name in _compare.LATER)
    assert all("nothing in it was compared" in f.title and "check-host.yml" in f.remedy for f in result["findings"])
    assert _findings.gate(result["findings"], [], fixture.BEGIN)["go"]


def test_what_the_new_section_says_is_no_difference():
    """Nothing is held against an empty section: all that is there would be new, or lost."""
    after = {"sections": {"runtimes": {"status": "ok", "data": {"items": {"interpreter /usr/bin/ruby3.1": {"there": False, "used_by": ["x"]}}}}}}
    found = _compare.compare({"sections": {}}, after, {"runtimes": PROBES["runtimes"]})["findings"]
    assert [f.id for f in found] == ["runtimes.unknown"]


@pytest.mark.parametrize("section", ["mail", "files", "packages"])
def test_an_older_section_that_is_missing_stays_red(section):
    (found,) = compared(set(PROBES) - {section}, PROBES)["findings"]
    assert (found.id, found.severity) == (section + ".unread", "blocker")


@pytest.mark.parametrize("section", _compare.LATER)
def test_one_that_the_later_look_lacks_is_red(section):
    (found,) = compared(PROBES, set(PROBES) - {section})["findings"]
    assert (found.id, found.severity) == (section + ".unread", "blocker")
    assert {f.severity for f in compared(set(PROBES) - {section}, set(PROBES) - {section})["findings"]} == {"blocker"}


def test_one_that_the_earlier_look_could_not_read_is_red():
    before = {"sections": {name: dict(OK) for name in PROBES}}
    before["sections"]["integrity"] = {"status": "failed", "reason": "dpkg -V did not end"}
    (found,) = _compare.compare(before, {"sections": {name: dict(OK) for name in PROBES}}, PROBES)["findings"]
    assert (found.id, found.severity) == ("integrity.unread", "blocker")


def test_no_rule_allows_it_away():
    rule = {"section": "rotation", "subject": "*", "id": "rotation.*", "reason": "all is well"}
    assert [f.id for f in compared(set(PROBES) - {"rotation"}, PROBES, [rule])["findings"]] == ["rotation.unknown"]


def test_the_reports_first_screen_says_so(tmp_path):
    old = fixture.baseline()
    for name in _compare.LATER:
        del old["sections"][name]
    model = _model.build(_load.load(fixture.write(str(tmp_path / fixture.ID), **{"baseline-before": old})), fixture.ID, fixture.at(600))
    said = [c for c in model["caveats"] if "did not exist yet at the earlier look" in c]
    assert len(said) == len(_compare.LATER) and said[0] in _html.page(model)
