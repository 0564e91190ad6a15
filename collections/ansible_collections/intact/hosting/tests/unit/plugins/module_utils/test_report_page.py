# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Page and text: escaping, no reference to elsewhere, width; and the module. What a browser makes of it is tested by the Molecule scenario flight_report."""

from __future__ import annotations

import html.parser
import json
import os
import re

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._report import _html, _load, _markup, _model, _svg, _text, _words
from ansible_collections.intact.hosting.plugins.modules import flight_report
from ansible_collections.intact.hosting.tests.unit.plugins import flight_fixture as flight


class Page(html.parser.HTMLParser):
    """Elements, attributes and visible text of a page; a mistake in nesting is an error."""

    def __init__(self, text):
        super().__init__()
        self.elements, self.attributes, self.words, self.open = [], [], [], []
        self.feed(text)
        self.close()
        assert self.open == []

    def handle_starttag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs
        if tag not in ("br", "meta", "hr", "col"):
            self.open.append(tag)

    def handle_startendtag(self, tag, attrs):
        self.elements.append(tag)
        self.attributes += attrs

    def handle_endtag(self, tag):
        assert self.open.pop() == tag

    def handle_data(self, data):
        self.words.append(data)


@pytest.fixture
def model(tmp_path):
    def build(**how):
        return _model.build(_load.load(flight.write(str(tmp_path / flight.ID), **how)), flight.ID, flight.at(600))

    return build


NASTY = [
    "<script>alert(1)</script>",
    '"><img src=x onerror=alert(1)>',
    "'--></style><svg/onload=alert(1)>",
    "a\u202egnp.exe",
    "caf\udce9",
    "tab\tnew\nline\x1b[31m",
    "javascript:alert(1)",
    "</title><b>",
]


def hostile(name):
    """A flight in which every text that a customer or a tool can choose is this name."""
    lost = [
        flight.finding(
            "mail.folder.missing",
            "blocker",
            name,
            name,
            evidence=name,
            remedy=name,
            details={"change": "changed", "attribute": name, "before": name, "after": name},
            consequences=[{"id": "files.missing", "severity": "blocker", "subject": name, "title": name}],
        )
    ]
    events = flight.journal(close="loss")
    events[0].update(host=name, source=name, target=name)
    events.insert(2, dict(events[0], event="note", text=name))
    events.insert(3, dict(events[0], event="decision", what=name, who=name, why=name))
    events.insert(4, dict(events[0], event="stage.start", stage=name))
    seen = flight.outages()
    seen["targets"][0]["name"] = name
    seen["targets"][0]["outages"][0]["reason"] = name
    compared = flight.comparison(lost)
    compared["sections"][0]["before"] = {name: 1}
    compared["renamed"].append({"from": name, "to": name, "reason": name, "section": "services"})
    compared["allowed"].append({"finding": lost[0].as_dict(), "reason": name})
    return {"lost": lost, "events": events, "outages": seen, "comparison": compared}


@pytest.mark.parametrize("name", NASTY)
def test_hostile_names_stay_text(model, name):
    built = model(**hostile(name))
    page = Page(_html.page(built))
    assert not {"script", "img", "iframe", "object", "link", "b"} & set(page.elements)
    assert not [key for key, _value in page.attributes if key.startswith("on") or key in ("src", "srcset", "action", "formaction")]
    assert all(value.startswith("#") for key, value in page.attributes if key == "href")
    shown = "".join(page.words)
    assert _words.visible(name) in shown and "\u202e" not in shown and "\x1b" not in shown
    text = _text.report(built)
    assert "\u202e" not in text and "\x1b" not in text and max(len(line) for line in text.splitlines()) <= 100


def test_no_reference_to_elsewhere(model):
    text = _html.page(model())
    assert not re.findall(r"(?:src|href)=[\"'](?!#)", text) and "@import" not in text and "url(" not in text
    assert ("content", "default-src 'none'; style-src 'unsafe-inline'") in Page(text).attributes


def test_the_first_screen_answers(model):
    text = "".join(Page(_html.page(model())).words)
    order = [text.index(word) for word in ("INTACT", "Longest outage", "Service away", "Stages against budget", "Findings and waivers")]
    assert order == sorted(order)
    assert "2 min 38 s" in text and "8 min" in text and "24 of 24" in text


def test_not_observed_is_said_and_no_zero(model):
    built = model(leave_out=("outages",))
    page = "".join(Page(_html.page(built)).words)
    assert "not observed" in page and "No outage seen" not in page
    assert "\nnot observed\n" in _text.report(built)


def test_no_comparison_is_not_nothing_lost(model):
    built = model(leave_out=("comparison", "postflight"))
    assert "not known" in _html.page(built) and "not known: no comparison was made" in _text.report(built)


def test_a_gate_that_did_not_decide_found_not_nothing(model):
    built = model(leave_out=("postflight",), events=flight.journal(flight.STAGES[:12], close=None))
    assert "This gate did not decide." in _html.page(built)
    text = _text.report(built)
    assert text.split("Findings after the work")[1].split("\n")[2] == "this gate did not decide"


def test_sums_of_the_text_are_those_of_the_data(model):
    lines = _text.report(model()).splitlines()
    assert any(line.startswith("IMAPS login") and line.endswith("2 min 38 s") for line in lines)
    assert any(line.startswith("full ") and "3 min 24 s of 20 min" in line for line in lines)
    assert any(line.startswith("packages") and "512 → 537" in line for line in lines)


def test_many_targets_and_changes_stay_readable(model):
    seen = flight.outages()
    seen["targets"] = [dict(seen["targets"][2], name="https://customer%d.example.com" % n) for n in range(400)]
    compared = flight.comparison()
    compared["allowed"] = [dict(compared["allowed"][0]) for _n in range(5000)]
    built = model(outages=seen, comparison=compared)
    text = _html.page(built)
    assert "391 services more" in text and "4960 more in report.json" in text and len(text) < 400_000
    assert len(_text.report(built).splitlines()) < 200


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "0 s"),
        (0.02, "under 0.1 s"),
        (0.4, "0.4 s"),
        (2.0, "2 s"),
        (9.96, "10 s"),
        (59.4, "59 s"),
        (60, "1 min"),
        (125, "2 min 05 s"),
        (3600, "1 h"),
        (7320, "2 h 02 min"),
        (None, "unknown"),
    ],
)
def test_duration(seconds, words):
    assert _words.duration(seconds) == words


def test_the_timeline_is_to_scale(model):
    built = model()
    scale = _svg.Scale(*_svg.bounds(built))
    width = _svg.WIDTH - _svg.LEFT - _svg.RIGHT
    assert scale(flight.at(0)) == _svg.LEFT and scale(flight.at(480)) == _svg.LEFT + width and scale(flight.at(240)) == pytest.approx(_svg.LEFT + width / 2)
    drawing = Page(str(_svg.timeline(built)))
    assert drawing.elements.count("circle") == 4
    assert str(_svg.timeline(built)).count('class="out"') == sum(len(t["outages"]) for t in built["outages"]["targets"])


def test_marks_that_are_close_do_not_lie_on_each_other():
    marks = [{"number": n, "time": flight.at(n), "cls": "", "text": ""} for n in range(4)]
    placed = _svg.lanes(marks, _svg.Scale(flight.BEGIN, flight.BEGIN.replace(hour=23)))
    assert [lane for _x, lane, _mark in placed] == [0, 1, 2, 3]


def test_markup_escapes_and_keeps_markup():
    assert _markup.tag("p", "<", _markup.tag("b", "&"), cls='"x') == '<p class="&quot;x">&lt;<b>&amp;</b></p>'


def test_module_draws_three_files_once(call_module, tmp_path):
    directory = flight.write(str(tmp_path / flight.ID))
    checked = call_module(flight_report.main, check=True, directory=directory)
    assert checked["changed"] and not os.path.exists(directory + "/report.html")
    first = call_module(flight_report.main, directory=directory)
    assert first["changed"] and first["verdict"] == "INTACT" and first["lost"] == []
    for name in ("html", "json", "text"):
        assert os.stat(first[name]).st_mode & 0o777 == 0o600
    with open(first["json"], encoding="utf-8") as handle:
        assert json.load(handle)["schema"] == 1
    assert not call_module(flight_report.main, directory=directory)["changed"]
    flight.write(directory, lost=flight.LOSS)
    assert call_module(flight_report.main, directory=directory)["verdict"] == "LOSS"


def test_module_says_what_is_wrong(call_module, tmp_path):
    assert "there is no flight" in call_module(flight_report.main, directory=str(tmp_path / "web1-nothing"))["msg"]
    directory = flight.write(str(tmp_path / flight.ID))
    assert "octal" in call_module(flight_report.main, directory=directory, mode="rw")["msg"]
