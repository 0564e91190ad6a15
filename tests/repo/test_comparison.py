# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The comparison with others: every row of the facts once, every yes with tests that are there, and what is drawn is what the data says."""

from __future__ import annotations

import copy
import re

import pytest

import comparison
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _runner

# Rows with a yes before, while, afterwards, in the report: as the facts count them, so that a slip in a row is seen.
FACTS = {
    "leapp": [16, 9, 4, 6],
    "infra.leapp": [2, 2, 4, 7],
    "cPanel elevate": [18, 5, 2, 4],
    "Plesk dist-upgrader": [12, 8, 1, 5],
    "do-release-upgrade": [7, 6, 0, 2],
    "SecureDrop noble-migration": [6, 10, 2, 5],
}


@pytest.fixture(scope="module")
def real():
    return comparison.load()


@pytest.fixture
def document(real):
    """The data, to be spoiled."""
    return copy.deepcopy(real)


def row(document, ident):
    return next(entry for entry in document["rows"] if entry["id"] == ident)


def test_every_row_is_there_once_and_every_test_it_names(real):
    assert comparison.problems(real) == []


def test_what_is_drawn_is_what_the_data_says(real):
    assert comparison.stale(real) == []


def test_others_have_what_the_facts_count(real):
    found = comparison.counts(real)
    assert {name: found[name] for name in real["tools"]} == FACTS


def test_the_readme_names_every_engine_and_which_never_met_its_distribution():
    text = (comparison.ROOT / "README.md").read_text(encoding="utf-8")
    rows = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", text, re.MULTILINE))
    assert set(rows) >= set(_runner.ENGINES)
    documented = dict(re.findall(r"^\| `(\w+)` \|.*\| ([^|]+) \|$", (comparison.ROOT / "docs/engines.md").read_text(encoding="utf-8"), re.MULTILINE))
    for name in _runner.ENGINES:
        assert ("**no**" in rows[name]) == ("**No real" in documented[name]), name


PROOFS = "unit/module_utils/_preflight/test_proofs.py"


@pytest.mark.parametrize(
    ("ident", "change", "said"),
    [
        ("P1", {"tests": []}, "P1: a yes without a test"),
        ("P1", {"tests": [PROOFS + "::test_nobody_wrote_this"]}, f"P1: {PROOFS} has no test 'test_nobody_wrote_this' that is run"),
        ("P1", {"tests": [PROOFS + "::proof"]}, f"P1: {PROOFS} has no test 'proof' that is run"),
        ("P1", {"tests": [PROOFS]}, f"P1: {PROOFS} has no test '' that is run"),
        ("P1", {"tests": ["unit/module_utils/test_gone.py::test_x"]}, f"P1: there is no file of tests {comparison.UNIT}module_utils/test_gone.py"),
        ("P1", {"tests": ["scripts/lib/comparison.py::problems"]}, "P1: there is no file of tests scripts/lib/comparison.py"),
        ("P1", {"tests": [PROOFS + "::test_each_panel_needs_its_own_export"] * 2}, "P1: a test is named twice"),
        ("P1", {"ours": "part"}, "P1: part, and no note says why"),
        ("E26", {"note": ""}, "E26: no, and no note says why"),
        ("E26", {"tests": [PROOFS + "::test_each_panel_needs_its_own_export"]}, "E26: a no with a test"),
        ("R1", {"ours": True}, "R1: ours is True, not yes, part or no"),
        ("R1", {"what": ""}, "R1: nothing says what the row is about"),
        ("F9", {"others": "no no no no no"}, "F9: others has to be one of yes, part, no, n/a for each of 6 tools"),
        ("F9", {"others": "no no no no no maybe"}, "F9: others has to be one of yes, part, no, n/a for each of 6 tools"),
    ],
)
def test_a_spoiled_row_is_told(document, ident, change, said):
    row(document, ident).update(change)
    assert said in comparison.problems(document)


def test_a_lost_a_doubled_and_an_invented_row_are_told(document):
    document["rows"].remove(row(document, "F12"))
    document["rows"] += [copy.deepcopy(row(document, "R16")), dict(row(document, "R16"), id="R17")]
    assert comparison.problems(document) == ["F12: the row is missing", "R16: the row is there 2 times", "R17: the facts have no such row"]


def test_another_word_makes_the_page_and_the_readme_stale(document):
    row(document, "P1")["others"] = "no part yes yes yes yes"
    assert [line.split()[0] for line in comparison.stale(document)] == ["docs/comparison.md", "README.md"]
    assert comparison.counts(document)["leapp"] != FACTS["leapp"]


def test_a_page_that_somebody_edited_is_stale(real, tmp_path):
    (tmp_path / "docs").mkdir()
    for name, text in comparison.drawn(real).items():
        (tmp_path / name).write_text(text, encoding="utf-8")
    assert comparison.stale(real, tmp_path) == []
    readme = tmp_path / "README.md"
    readme.write_text(readme.read_text(encoding="utf-8").replace("| all, of 115 | **", "| all, of 115 | **1"), encoding="utf-8")
    assert [line.split()[0] for line in comparison.stale(real, tmp_path)] == ["README.md"]
    (tmp_path / "docs" / "comparison.md").unlink()
    assert len(comparison.stale(real, tmp_path)) == 2
    readme.write_text("no marks", encoding="utf-8")
    with pytest.raises(SystemExit, match="lacks the line"):
        comparison.stale(real, tmp_path)


def test_what_is_built_and_has_no_test_is_not_counted(document):
    before = comparison.counts(document)["Intact"]
    row(document, "P1")["tests"] = []
    assert comparison.counts(document)["Intact"] == [before[0] - 1, *before[1:]]


TESTS = """
import pytest

@pytest.mark.parametrize("n", [1, 2])
def test_many(n): ...
@pytest.mark.skip(reason="one day")
def test_skipped(): ...
@pytest.mark.xfail
def test_may_fail(): ...
@pytest.mark.skipif(True, reason="elsewhere")
def test_elsewhere(): ...
async def test_waits(): ...
class TestGroup:
    def test_in_a_class(self): ...
class Helper:
    def test_of_no_one(self): ...
def outer():
    def test_inside(): ...
# def test_once(): ...
"""


def test_only_tests_that_pytest_runs_count(tmp_path):
    (tmp_path / "test_x.py").write_text(TESTS)
    assert comparison.functions(tmp_path / "test_x.py") == {"test_many", "test_elsewhere", "test_waits", "test_in_a_class"}


def test_a_scenarios_test_counts_where_its_sequence_verifies_it(tmp_path):
    for folder in ("tests", "tests_after"):
        (tmp_path / "molecule" / "one" / folder).mkdir(parents=True)
        (tmp_path / "molecule" / "one" / folder / "test_x.py").write_text("def test_a():\n    pass\n")
    assert comparison.missing(tmp_path, "molecule/one/tests/test_x.py::test_a") == "the sequence of scenario one does not verify tests"
    (tmp_path / "molecule" / "one" / "molecule.yml").write_text("scenario: {test_sequence: [create, verify tests_after]}")
    assert comparison.missing(tmp_path, "molecule/one/tests_after/test_x.py::test_a") == ""
    assert comparison.missing(tmp_path, "molecule/one/tests/test_x.py::test_a") == "the sequence of scenario one does not verify tests"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "test_x.py").write_text("def test_a():\n    pass\n")
    assert comparison.missing(tmp_path, "other/test_x.py::test_a") == "nothing runs the tests of other"
