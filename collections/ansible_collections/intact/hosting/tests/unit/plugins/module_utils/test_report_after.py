# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of what was expected, who said yes, who is to be called, and the watch after the work."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._report import _html, _load, _model, _text, _verdict
from ansible_collections.intact.hosting.tests.unit.plugins import flight_fixture as fixture

CONTACTS = [{"name": "Jo <b>Smith", "role": "data centre", "phone": "+44 1", "mail": ""}]
ESTIMATE = {
    "event": "estimate",
    "time": fixture.at(2),
    "stages": {"full": 300, "minimal": 60},
    "total": 500,
    "low": 300,
    "high": 900,
    "rollback": 120,
    "basis": ["10 MB/s from the <mirror>"],
}
YES = {"event": "confirmation", "time": fixture.at(400), "before": "reboot", "who": "data centre", "by": "Ada", "how": "file", "what": "stage reboot"}
BEGIN = {"event": "watch", "time": fixture.at(600), "state": "begin", "hours": 24, "until": fixture.at(87000), "sections": ["sites"]}
RAISED = {"event": "alarm", "time": fixture.at(700), "state": "raised", "id": "sites.unanswered", "subject": "shop.example", "title": "no answer"}
CLEARED = dict(RAISED, time=fixture.at(760), state="cleared")
END = {"event": "watch", "time": fixture.at(87000), "state": "end", "looks": 1440, "note": "1440 looks"}


def drawn(tmp_path, *more, close="intact", contacts=()):
    events = fixture.journal(close=None)
    events[0] = dict(events[0], contacts=list(contacts))
    events.append({"event": "gate", "name": "postflight", "go": True, "counts": {}, "time": fixture.at(590)})
    events += list(more)
    if close:
        events.append({"event": "flight.close", "verdict": close, "note": "", "time": fixture.at(87001)})
    directory = fixture.write(str(tmp_path / fixture.ID), events=sorted(events, key=lambda e: e["time"]))
    model = _model.build(_load.load(directory), fixture.ID, fixture.at(90000))
    return model, _html.page(model), _text.report(model)


def test_what_was_expected_stands_against_what_it_took(tmp_path):
    model, page, text = drawn(tmp_path, ESTIMATE)
    full = next(s for s in model["stages"] if s["stage"] == "full")
    assert (full["expected"], full["spent"]) == (300, 204) and model["estimate"]["total"] == 500
    assert "8 min 20 s expected" in page and "10 MB/s from the &lt;mirror&gt;" in page
    assert "expected before the work: 8 min 20 s (5 min to 15 min), and 2 min for the way back" in text


def test_without_an_estimate_nothing_is_said_of_one(tmp_path):
    model, page, text = drawn(tmp_path)
    assert model["estimate"] is None and "expected" not in page.lower().replace("unexpected", "") and "expected before" not in text


def test_who_said_yes_is_a_mark_and_contacts_are_escaped(tmp_path):
    model, page, text = drawn(tmp_path, YES, contacts=CONTACTS)
    assert model["confirmations"][0]["by"] == "Ada"
    assert "Confirmed before reboot: data centre, by Ada (file)" in page and "Confirmed before reboot" in text
    assert "Jo &lt;b&gt;Smith" in page and "Jo <b>Smith, data centre, +44 1" in text


def test_while_it_is_watched_the_work_is_done_but_not_closed(tmp_path):
    model, page, text = drawn(tmp_path, BEGIN, close=None)
    assert model["verdict"]["word"] == _verdict.RUNNING and "found whole" in model["verdict"]["sentence"] and "no alarm stands" in model["verdict"]["sentence"]
    assert 'id="watch"' in page and "Watch after the work" in text
    model, _page, _said = drawn(tmp_path, BEGIN, RAISED, close=None)
    assert "1 alarm stands: shop.example" in model["verdict"]["sentence"]


def test_an_alarm_that_is_over_is_a_caveat_and_not_a_loss(tmp_path):
    model, page, text = drawn(tmp_path, BEGIN, RAISED, CLEARED, END)
    assert model["verdict"]["word"] == _verdict.INTACT
    assert any("1 alarm in the watch" in c and "all of them over" in c for c in model["caveats"])
    assert model["watch"]["alarms"][0]["seconds"] == 60 and "over after 1 min" in page and "over after 1 min" in text and "1\u202f440 looks" in text


def test_one_that_stands_is_a_loss_by_its_name(tmp_path):
    model, _page, _said = drawn(tmp_path, BEGIN, RAISED, END, close="loss")
    assert model["verdict"]["word"] == _verdict.LOSS and "shop.example" in model["verdict"]["sentence"]


def test_an_alarm_from_before_the_watch_is_not_the_watchs(tmp_path):
    early = dict(RAISED, time=fixture.at(500))
    assert drawn(tmp_path, early, BEGIN, END)[0]["watch"]["alarms"] == []


@pytest.mark.parametrize(("window", "over"), [({"end": fixture.at(900)}, True), ({"end": fixture.at(10**6)}, False)])
def test_the_windows_end_is_a_budget(tmp_path, window, over):
    events = fixture.journal()
    events[0] = dict(events[0], window=window)
    events[-1] = dict(events[-1], time=fixture.at(1000))
    model = _model.build(_load.load(fixture.write(str(tmp_path / fixture.ID), events=events)), fixture.ID, fixture.at(2000))
    assert model["flight"]["over_budget"] is over
