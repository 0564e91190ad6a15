# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""docs/comparison.yml: what is wrong with it, and docs/comparison.md and README.md's table drawn from it.

`comparison` draws both; `comparison --check` only says what is wrong, or not drawn anew.
"""

from __future__ import annotations

import argparse
import ast
import functools
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import yaml

import scenarios

ROOT = Path(__file__).resolve().parents[2]
DATA, PAGE, README = "docs/comparison.yml", "docs/comparison.md", "README.md"
UNIT = "collections/ansible_collections/intact/hosting/tests/unit/plugins/"
# Letter of the ids, heading, and how many rows the facts have.
TABLES = (("P", "Before the upgrade", 40), ("E", "While it runs", 29), ("F", "Afterwards", 30), ("R", "Report and gate", 16))
BEGIN, END = "<!-- comparison: drawn by make comparison -->", "<!-- comparison: end -->"
WORDS = {"yes": "yes", "part": "part", "no": "–", "n/a": ""}
OURS = "Intact"
INTRODUCTION = """# Intact and others, row by row

Drawn from [comparison.yml](comparison.yml) by `make comparison`: change that file, not this one.

The rows, and the words about others, are from the project's facts about upgrades, for which each tool's source was read (do-release-upgrade: of 2021 and
2022). `part`: in part, or as advice; empty: does not apply. infra.leapp stands on leapp and has leapp's checks besides its own.
Ours is a yes only where a test shows the row; `tests/repo/test_comparison.py` fails when a named test is not there. Counting rows is crude: they are not
equally important, the tools are made for different systems, and these rows were collected by people who were about to build this one.

Behind our words are {tests} tests. Those below `molecule/` look at real servers in containers, and upgrade them (`make test`; `upgrade_hops` and
`upgrade_servers` have targets of their own), `tests/vm` upgrades a QEMU machine (`make test-vm-upgrade`).
"""


def load(root: Path = ROOT) -> dict[str, Any]:
    return yaml.safe_load((root / DATA).read_text(encoding="utf-8"))


def file_of(test: str) -> str:
    """A test's file, from the repository's root."""
    name = test.partition("::")[0]
    return UNIT + name.removeprefix("unit/") if name.startswith("unit/") else name


def _skipped(function: ast.FunctionDef | ast.AsyncFunctionDef) -> bool:
    """Whether a mark keeps it from ever running, or lets it fail."""
    marks = [ast.unparse(mark) for mark in function.decorator_list]
    return any(mark.partition("(")[0] in ("pytest.mark.skip", "pytest.mark.xfail") for mark in marks)


@functools.cache
def functions(path: Path) -> set[str]:
    """Tests that pytest would run in a file: read, not imported."""
    found = set()
    for node in ast.parse(path.read_text(encoding="utf-8")).body:
        for entry in node.body if isinstance(node, ast.ClassDef) and node.name.startswith("Test") else [node]:
            if isinstance(entry, (ast.FunctionDef, ast.AsyncFunctionDef)) and entry.name.startswith("test_") and not _skipped(entry):
                found.add(entry.name)
    return found


def missing(root: Path, test: str) -> str:
    """Why a named test does not count; empty when it does."""
    name, _two, function = test.partition("::")
    path = root / file_of(test)
    if not path.is_file() or not path.name.startswith("test_") or path.suffix != ".py":
        return f"there is no file of tests {file_of(test)}"
    if function not in functions(path):
        return f"{name} has no test {function!r} that is run"
    parts = Path(file_of(test)).parts
    if parts[0] == "molecule" and parts[2] not in scenarios.verify_folders(root, parts[1]):
        return f"the sequence of scenario {parts[1]} does not verify {parts[2]}"
    if parts[0] not in ("molecule", "tests", "collections"):
        return f"nothing runs the tests of {parts[0]}"
    return ""


def problems(document: dict[str, Any], root: Path = ROOT) -> list[str]:
    """What is wrong with the data, as sentences."""
    rows, tools, found = document["rows"], document["tools"], []
    wanted = [f"{letter}{number}" for letter, _heading, count in TABLES for number in range(1, count + 1)]
    times = Counter(row["id"] for row in rows)
    found += [f"{ident}: the row is missing" for ident in wanted if not times[ident]]
    found += [f"{ident}: the row is there {count} times" for ident, count in times.items() if count > 1]
    found += [f"{ident}: the facts have no such row" for ident in times if ident not in wanted]
    for row in rows:
        ident, others, ours, tests = row["id"], str(row["others"]).split(), row["ours"], row["tests"]
        if len(others) != len(tools) or set(others) - set(WORDS):
            found.append(f"{ident}: others has to be one of {', '.join(WORDS)} for each of {len(tools)} tools")
        if ours not in ("yes", "part", "no"):
            found.append(f"{ident}: ours is {ours!r}, not yes, part or no")
        if ours == "yes" and not tests:
            found.append(f"{ident}: a yes without a test")
        if ours == "no" and tests:
            found.append(f"{ident}: a no with a test")
        if ours != "yes" and not row.get("note"):
            found.append(f"{ident}: {ours}, and no note says why")
        if not row.get("what"):
            found.append(f"{ident}: nothing says what the row is about")
        if len(set(tests)) != len(tests):
            found.append(f"{ident}: a test is named twice")
        found += [f"{ident}: {why}" for why in (missing(root, test) for test in tests) if why]
    return found


def counts(document: dict[str, Any]) -> dict[str, list[int]]:
    """{tool: its rows with a yes in each table}, ours first; of ours only those that a test shows."""
    found = {name: [0] * len(TABLES) for name in (OURS, *document["tools"])}
    place = {letter: number for number, (letter, _heading, _count) in enumerate(TABLES)}
    for row in document["rows"]:
        table = place[row["id"][0]]
        found[OURS][table] += row["ours"] == "yes" and bool(row["tests"])
        for name, word in zip(document["tools"], row["others"].split(), strict=True):
            found[name][table] += word == "yes"
    return found


def _line(cells: list[Any]) -> str:
    return "| " + " | ".join(str(cell) for cell in cells) + " |"


def summary(document: dict[str, Any]) -> str:
    """README.md's table: rows with a yes, by tool and table."""
    found = counts(document)
    names = list(found)
    out = [_line(["rows with a yes", *(f"**{name}**" if name == OURS else name for name in names)]), "|---|" + "---:|" * len(names)]
    for number, (_letter, heading, count) in enumerate(TABLES):
        out.append(_line([f"{heading}, of {count}", *(found[name][number] for name in names)]))
    sums = [f"**{sum(numbers)}**" if name == OURS else sum(numbers) for name, numbers in found.items()]
    out.append(_line([f"all, of {sum(count for _letter, _heading, count in TABLES)}", *sums]))
    return "\n".join(out)


def page(document: dict[str, Any]) -> str:
    """docs/comparison.md."""
    tests = {test for row in document["rows"] for test in row["tests"]}
    partly = [row["id"] for row in document["rows"] if row["ours"] == "part"]
    none = [row["id"] for row in document["rows"] if row["ours"] == "no"]
    out = [INTRODUCTION.format(tests=len(tests)), summary(document), "", f"Ours in part: {', '.join(partly)}. Not at all: {', '.join(none)}."]
    for letter, heading, _count in TABLES:
        rows = [row for row in document["rows"] if row["id"][0] == letter]
        out += ["", f"## {heading}", "", _line(["", "", f"**{OURS}**", *document["tools"]]), "|---|---|" + "---|" * (1 + len(document["tools"]))]
        out += [_line([row["id"], row["what"], f"**{WORDS[row['ours']]}**", *(WORDS[word] for word in row["others"].split())]) for row in rows]
        out += ["", f"### {heading}: notes, and the tests that show it", ""]
        for row in rows:
            shown = "; ".join(f"[{Path(file_of(test)).name}](../{file_of(test)}) `{test.partition('::')[2]}`" for test in row["tests"])
            out.append(f"- **{row['id']}** " + " ".join(part for part in (row.get("note", ""), shown or "No test.") if part))
    return "\n".join(out) + "\n"


def placed(text: str, table: str) -> str:
    """README.md's text with the table between its marks."""
    before, begin, rest = text.partition(BEGIN)
    _old, end, after = rest.partition(END)
    if not begin or not end:
        raise SystemExit(f"comparison: {README} lacks the line {BEGIN} or {END}")
    return f"{before}{BEGIN}\n{table}\n{END}{after}"


def drawn(document: dict[str, Any], root: Path = ROOT) -> dict[str, str]:
    """{file: what has to be in it}."""
    return {PAGE: page(document), README: placed((root / README).read_text(encoding="utf-8"), summary(document))}


def stale(document: dict[str, Any], root: Path = ROOT) -> list[str]:
    """Files that are not what the data says."""
    return [
        f"{name} is not what {DATA} says: make comparison"
        for name, text in drawn(document, root).items()
        if not (root / name).is_file() or (root / name).read_text(encoding="utf-8") != text
    ]


def main(words: list[str]) -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing")
    options = parser.parse_args(words)
    document = load()
    wrong = problems(document)
    if wrong or options.check:
        wrong += [] if wrong else stale(document)
        print("\n".join(wrong))
        return 1 if wrong else 0
    for name, text in drawn(document).items():
        (ROOT / name).write_text(text, encoding="utf-8")
    print("\n".join(f"{name}: {sum(numbers)}" for name, numbers in counts(document).items()))
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
