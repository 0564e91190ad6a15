# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The report of a migration's flight: INTACT only when every class was looked at and the gate said go; the section Migration in page and text."""

from __future__ import annotations

import json

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _findings
from ansible_collections.intact.hosting.plugins.module_utils._report import _html, _load, _model, _text

ID = "web1-migration-20261123t1000z"
HOSTILE = "<script>alert(1)</script>"


def row(name, **more):
    return dict(
        {"class": name, "looked": True, "old": 12, "new": 12, "explained": 0, "unexplained": 0, "sums": {}, "reasons": [], "changes": {}, "list": ""}, **more
    )


@pytest.fixture(name="draw")
def fixture_draw(tmp_path):
    """draw(classes, findings, closed): the model of a flight whose last word was said."""

    def build(classes, findings=(), closed="intact", document_findings=(), migration=True):
        directory = tmp_path / ID
        directory.mkdir(exist_ok=True)
        events = [
            {
                "event": "flight.open",
                "time": "2026-11-23T10:00:00.000Z",
                "flight": ID,
                "host": "web1",
                "kind": "migration",
                "source": "old disk",
                "target": "this host",
            }
        ]
        if closed:
            events.append({"event": "flight.close", "time": "2026-11-23T11:00:00.000Z", "verdict": closed})
        (directory / "journal.jsonl").write_text("".join(json.dumps(event) + "\n" for event in events))
        verdict = _findings.gate([_findings.Finding.from_dict(f) for f in findings])
        (directory / "postflight.json").write_text(json.dumps(dict(verdict, name="site_migration")))
        if migration:
            document = {"phase": "reconcile", "counts": {}, "classes": classes, "findings": list(document_findings)}
            (directory / "migration.json").write_text(json.dumps(document))
        return _model.build(_load.load(str(directory)), ID, "2026-11-23T12:00:00.000Z")

    return build


def test_everything_explained_is_intact_and_drawn(draw):
    model = draw([row("accounts"), row("tables", sums={"rows": [99, 98]}, explained=1, reasons=[{"reason": "a cache " + HOSTILE, "count": 1, "subjects": []}])])
    assert model["verdict"]["word"] == "INTACT" and "old disk" in model["verdict"]["sentence"]
    page, text = _html.page(model), _text.report(model)
    assert 'id="migration"' in page and HOSTILE not in page and "&lt;script&gt;" in page
    assert "Migration" in text and "rows" in text and "99 -> 98" in text


def test_an_open_blocker_is_a_loss_by_name(draw):
    lost = {"id": "reconciliation.tables.missing", "severity": "blocker", "subject": "shop.orders", "title": "is gone", "details": {"change": "missing"}}
    model = draw([row("tables", unexplained=1)], [lost], closed="")
    assert model["verdict"]["word"] == "LOSS" and "shop.orders" in model["verdict"]["sentence"]
    assert "1 unexplained" in _html.page(model)


@pytest.mark.parametrize(
    ("classes", "more", "reason"),
    [
        ([row("accounts"), row("lists", looked=False)], {}, "could not be looked at: lists"),
        ([], {}, "looked at no class"),
        ([row("accounts", old=0, new=0)], {}, "nothing was found on the old disk"),
        ([row("accounts")], {"document_findings": [{"id": "reconciliation.lists.left_out", "subject": "lists"}]}, "nobody asked about lists"),
        ([row("accounts")], {"migration": False}, "there is no baseline from before"),
    ],
)
def test_what_nobody_looked_at_is_never_intact(draw, classes, more, reason):
    verdict = draw(classes, **more)["verdict"]
    assert verdict["word"] == "FAILED" and any(reason in said for said in verdict["reasons"])


def test_a_flight_without_a_migration_has_no_such_section(draw):
    model = draw([], migration=False)
    assert model["migration"] is None and 'id="migration"' not in _html.page(model) and "\nMigration\n" not in _text.report(model)
