# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Every driver against every damage: red where it must be, green where not, each finding about the object that was hit, and no secret in any of it."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _registry, _run
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import full_disk
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import panel_matrix as matrix
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows import meanwhile

NAMES = [driver.NAME for driver in _registry.DRIVERS]
CASES = [(name, damage, number) for name in NAMES for damage in matrix.DAMAGES for number in range(len(matrix.cells(name, damage)))]


@pytest.fixture
def bench(request, tmp_path, monkeypatch):
    """make(name) gives a driver's bench, which is gone at the end."""
    made = []

    def make(name):
        made.append(matrix.row(name).bench(tmp_path))
        made[-1].patch = monkeypatch
        return made[-1]

    yield make
    for one in made:
        if one.close:
            one.close()


@pytest.mark.parametrize("name", NAMES)
def test_a_driver_has_a_cell_for_each_damage_or_says_why_not(name):
    row = matrix.row(name)
    assert row is not None, "write rows/%s.py" % name
    assert set(row.CELLS) == set(matrix.DAMAGES)
    for damage in matrix.DAMAGES:
        why = matrix.reason(name, damage)
        assert len(why.split()) > 5 and damage not in matrix.ALWAYS if why else matrix.cells(name, damage), damage


@pytest.mark.parametrize("name", NAMES)
def test_a_row_says_red_where_damage_is_and_green_where_none_is(name):
    """A cell that expects nothing can't fail: only what is no damage, or is made good by the driver and told, may be green."""
    for damage in matrix.DAMAGES:
        for cell in matrix.cells(name, damage):
            green = damage in (matrix.INTACT, matrix.WARNING)
            assert cell.expected == "proven" if green else cell.told or cell.warns, damage
            assert not green or not cell.told


@pytest.mark.parametrize(("name", "damage", "number"), CASES, ids=["%s: %s%s" % (name, damage, ", %d" % (n + 1) if n else "") for name, damage, n in CASES])
def test_cell(bench, name, damage, number):
    cell, here = matrix.cells(name, damage)[number], bench(name)
    if cell.before:
        cell.before(here)
    outcome, text = here.export(cell.mode, cell.after)
    blockers = {(finding.id, finding.subject) for finding in outcome.findings if finding.severity == "blocker"}
    assert matrix.unmet(cell, name, here.names, blockers) == ([], [])
    warned = {(finding.id, finding.subject) for finding in outcome.findings if finding.severity == "warning"}
    assert not matrix.unmet(matrix.Cell(told=cell.warns), name, here.names, warned)[0], warned
    assert (outcome.verdict, outcome.made) == (cell.expected, cell.made)
    assert damage != matrix.MISSING or outcome.document["rc"] == 0, "an exit status must not be what tells it"
    # a failed one is kept for a person to look at, and is none that anybody takes
    assert outcome.path.endswith(".failed") == (cell.made and cell.expected == "failed")
    for finding in outcome.findings:
        # the object, and not the panel alone
        assert re.match(name + r" \S", finding.subject) and finding.title and finding.evidence and finding.remedy
        assert "defect in the driver" not in finding.evidence, finding.evidence
    assert not [secret for secret in here.secrets if secret in text or json.dumps(secret)[1:-1] in text]
    if cell.then:
        cell.then(here, outcome)


@pytest.mark.parametrize("name", NAMES)
def test_whatever_becomes_of_a_stored_file_is_told_with_its_name(bench, name):
    """After the export, on our own disk: each file of it with one bit flipped, cut short, and gone."""
    here = bench(name)
    outcome, _text = here.export(matrix.cells(name, matrix.INTACT)[0].mode)
    assert outcome.verdict == "proven"
    for entry in outcome.document["files"]:
        path = Path(outcome.path, entry["stored"]["name"])
        whole = path.read_bytes()
        assert whole, entry["name"]
        for change, ident in ((_flip, "corrupt"), (lambda data: data[:-1], "truncated"), (None, "member")):
            if change:
                path.write_bytes(change(whole))
            else:
                path.unlink()
            _document, findings, verdict = _run.verify(here.driver, outcome.path)
            assert verdict == "failed"
            assert ("panel.export." + ident, "%s file %s" % (name, entry["stored"]["name"])) in [(f.id, f.subject) for f in findings]
        path.write_bytes(whole)
        os.chmod(path, 0o600)
    assert _run.verify(here.driver, outcome.path)[2] == "proven"


@pytest.mark.skipif(bool(full_disk.missing()), reason="no file system can be mounted here: %s" % full_disk.missing())
@pytest.mark.parametrize("name", ["hestiacp", "ispconfig", "cyberpanel", "mailman", "modoboa", "postfixadmin", "none"])
def test_a_disk_that_really_runs_full_is_told_as_one(bench, name):
    """Of the drivers that write settings themselves; what panels' programs do on a full disk is played by their stand-ins."""
    here = bench(name)
    meanwhile.room(here, 1 << 50)
    outcome, _text = here.export("settings")
    assert outcome.verdict == "proven"
    needed = sum(path.stat().st_size // 4096 + 1 for path in Path(outcome.path).rglob("*") if path.is_file())
    here.folder = here.folder / "small"
    here.folder.mkdir(mode=0o700)

    def on_it():
        outcome, text = here.export("settings")
        told = [(finding.id, finding.subject, finding.evidence) for finding in outcome.findings if finding.severity == "blocker"]
        return [outcome.verdict, told, text, sorted(os.listdir(here.folder / name))]

    for share in (0.3, 0.6, 0.85):
        verdict, told, text, left = full_disk.within(here.folder, max(1, int(needed * share)), on_it)
        assert verdict == "failed" and [one for one in told if one[0] == "panel.space" or "errno 28" in one[2]], told
        assert all(subject.startswith(name + " ") and "defect" not in evidence for _ident, subject, evidence in told)
        assert not [entry for entry in left if entry.endswith(".part") or not entry.startswith(".") and not entry.endswith(".failed")]
        assert not [secret for secret in here.secrets if secret in text]


def _flip(data):
    place = len(data) // 2
    return data[:place] + bytes([data[place] ^ 4]) + data[place + 1 :]


def test_a_matrix_that_nobody_meets_is_told():
    """The judge itself: what is lacking, what is too much, and what was expected besides."""
    cell = matrix.Cell(told=[("panel.a|panel.b", "file {x}!*")], also=r"customer ({x})\b")
    good = {("panel.b", "acme file one!two.xml"), ("panel.c", "acme customer one")}
    assert matrix.unmet(cell, "acme", {"x": "one"}, good) == ([], [])
    assert matrix.unmet(cell, "acme", {"x": "one"}, {("panel.c", "acme file one!two.xml")})[0]
    assert matrix.unmet(cell, "acme", {"x": "one"}, good | {("panel.c", "acme customer two")})[1] == [("panel.c", "acme customer two")]
    assert matrix.unmet(matrix.Cell(), "acme", None, good)[1] == sorted(good)
