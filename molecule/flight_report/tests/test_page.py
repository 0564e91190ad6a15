# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What a person sees of the report: light and dark, wide and narrow. Pictures are left in build/pictures/."""

from __future__ import annotations

import json

import pytest

WIDE, NARROW = (1280, 800), (360, 740)
SIZES = [WIDE, NARROW]

# Contrast by WCAG of every piece of text against the colour behind it; returns those below the wanted ratio.
CONTRAST = """
(() => {
  const parse = c => { const m = c.match(/[\\d.]+/g).map(Number); return m.length < 4 ? [...m, 1] : m; };
  const light = c => { const f = c.slice(0, 3).map(v => { v /= 255; return v <= 0.04045 ? v / 12.92 : Math.pow((v + 0.055) / 1.055, 2.4); });
    return 0.2126 * f[0] + 0.7152 * f[1] + 0.0722 * f[2]; };
  const behind = e => {
    for (; e; e = e.parentElement) { const c = parse(getComputedStyle(e).backgroundColor); if (c[3] > 0.5) return c; }
    return [255, 255, 255, 1];
  };
  const poor = []; let seen = 0;
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode, e = node.parentElement, style = getComputedStyle(e);
    if (!node.data.trim() || e.closest('title')) continue;
    const colour = parse(e.closest('svg') ? style.fill : style.color), ground = behind(e);
    const a = light(colour), b = light(ground), ratio = (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
    seen++;
    if (ratio < 4.5) poor.push([node.data.trim().slice(0, 40), ratio.toFixed(2)]);
  }
  return JSON.stringify({seen, poor});
})()
"""


def open_all(browser):
    browser.ask("document.querySelectorAll('details').forEach(d => d.open = true)")


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_nothing_is_asked_from_elsewhere_and_nothing_complains(browser, page, size, scheme):
    browser.show(page, *size, scheme)
    open_all(browser)
    browser.ask("1")
    asked = [e["params"]["request"]["url"] for e in browser.events if e.get("method") == "Network.requestWillBeSent"]
    assert asked == [page.as_uri()]
    complaints = [
        e
        for e in browser.events
        if e.get("method") in ("Log.entryAdded", "Runtime.consoleAPICalled", "Runtime.exceptionThrown", "Page.javascriptDialogOpening")
    ]
    assert complaints == []


@pytest.mark.parametrize("size", SIZES)
def test_the_page_does_not_overflow_sideways(browser, page, size):
    browser.show(page, *size, "light")
    for _state in ("closed", "open"):
        assert browser.ask("document.documentElement.scrollWidth") <= size[0]
        open_all(browser)


@pytest.mark.parametrize("size", SIZES)
def test_the_first_screen_holds_the_answers(browser, page, size):
    browser.show(page, *size, "light")
    verdict = browser.ask("document.getElementById('verdict').textContent")
    assert verdict == {"intact": "INTACT", "loss": "LOSS"}[page.parts[-3]]
    bottoms = json.loads(browser.ask("JSON.stringify([...document.querySelectorAll('#verdict, .sentence, .tile')].map(e => e.getBoundingClientRect().bottom))"))
    assert len(bottoms) == 6 and max(bottoms) <= size[1]
    if size == WIDE:
        heads = json.loads(
            browser.ask("JSON.stringify([...document.querySelectorAll('.pair h3, .pair .bars')].slice(0, 4).map(e => e.getBoundingClientRect().bottom))")
        )
        assert max(heads[:1]) <= size[1], "outage per service and stages against budget begin on the first screen"
    assert browser.ask("parseFloat(getComputedStyle(document.getElementById('verdict')).fontSize)") >= 24


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_is_legible(browser, page, scheme):
    browser.show(page, *WIDE, scheme)
    open_all(browser)
    seen = json.loads(browser.ask(CONTRAST))
    assert seen["seen"] > 150 and seen["poor"] == []


def test_dark_is_dark_and_light_is_light(browser, page):
    grounds = {}
    for scheme in ("light", "dark"):
        browser.show(page, *WIDE, scheme)
        grounds[scheme] = [int(n) for n in browser.ask("getComputedStyle(document.body).backgroundColor").strip("rgb()").split(",")]
    assert min(grounds["light"]) > 220 and max(grounds["dark"]) < 50


def test_hostile_names_are_text(browser, page):
    browser.show(page, *WIDE, "light")
    assert browser.ask("document.scripts.length") == 0
    shown = "<script>alert(1)</script>" in browser.ask("document.body.textContent")
    assert shown == (page.parts[-3] == "loss")


def test_the_timeline_is_drawn_where_its_times_say(browser, page):
    browser.show(page, *WIDE, "light")
    box = json.loads(browser.ask("JSON.stringify(document.querySelector('.timeline').getBoundingClientRect())"))
    assert box["width"] > 860 and box["height"] > 400
    lanes, reboot = json.loads(
        browser.ask(
            "JSON.stringify([document.querySelector('.timeline .lane'), document.querySelectorAll('.timeline rect.ok')[17]]"
            ".map(e => ({x: e.getBBox().x, width: e.getBBox().width})))"
        )
    )
    # the reboot of the recorded flight begins 402 s and ends 440 s after the opening, of 480 s
    assert (reboot["x"] - lanes["x"]) / lanes["width"] == pytest.approx(390 / 480, abs=0.03)
    assert reboot["width"] / lanes["width"] == pytest.approx(38 / 480, abs=0.01)


def test_it_prints(browser, page):
    browser.show(page, *WIDE, "dark")
    browser.call("Emulation.setEmulatedMedia", media="print", features=[{"name": "prefers-color-scheme", "value": "dark"}])
    assert browser.ask("getComputedStyle(document.body).backgroundColor") == "rgb(255, 255, 255)"
    assert browser.ask("getComputedStyle(document.querySelector('nav')).display") == "none"
    browser.call("Emulation.setEmulatedMedia", media="", features=[])


def test_pictures_for_people(browser, page):
    from pathlib import Path

    folder = Path(__file__).resolve().parents[3] / "build" / "pictures"
    for scheme in ("light", "dark"):
        for name, size in (("wide", WIDE), ("narrow", NARROW)):
            browser.show(page, *size, scheme)
            target = folder / ("report-%s-%s-%s.png" % (page.parts[-3], name, scheme))
            browser.picture(target, whole=True)
            assert target.stat().st_size > 20_000
