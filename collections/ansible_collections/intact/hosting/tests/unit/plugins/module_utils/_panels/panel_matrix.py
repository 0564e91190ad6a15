# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The matrix: every driver against every damage. A driver's row is rows/<driver>.py; test_panel_matrix.py walks them, the way an export goes on a host."""

from __future__ import annotations

import gzip
import importlib
import json
import re
import types
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _registry, _run

INTACT, TRUNCATED, FLIPPED, MISSING = "intact", "truncated", "one flipped bit", "one object missing at exit 0"
EMPTY, INNER, STALE, FOREIGN = "empty dump", "inner archive broken", "manifest stale", "wrong-server signature"
FULL, BUSY, WARNING, REFUSED = "disk full", "busy", "warning text with a good file", "panel's database refused"
OMITTED, ALTERED = "a user whom the panel's list omits", "alias altered by the export"
DAMAGES = (INTACT, TRUNCATED, FLIPPED, MISSING, EMPTY, INNER, STALE, FOREIGN, FULL, BUSY, WARNING, REFUSED, OMITTED, ALTERED)
# What can befall any panel: no row may say that it does not.
ALWAYS = (INTACT, TRUNCATED, FLIPPED, MISSING, FULL, BUSY, ALTERED)
ROWS = "ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.rows."
MARKS = {"proven": "green", "failed": "**red**", "unproven": "**red**"}


@dataclass
class Cell:
    """One damage of one panel, and all that must be told of it.

    told: {(id, "kind name")} of the blockers, where * stands for anything and {x} for the bench's name x. Each must be told, and no other one unless its
    "kind name" has the regular expression `also` in it: what the same damage costs besides. warns: warnings that must be told too.
    before(bench): what is done to the host. after(directory): what becomes of the driver's files before they are stored. then(bench, outcome): more to look at.
    """

    told: tuple = ()
    also: str = ""
    warns: tuple = ()
    before: object = None
    after: object = None
    then: object = None
    mode: str = "full"
    verdict: str = ""
    made: bool = True

    @property
    def expected(self):
        """proven, unproven or failed."""
        ids = {ident for ident, _what in self.told}
        return self.verdict or ("proven" if not ids else "unproven" if ids == {"panel.unproven"} else "failed")


class Unfit(str):
    """Why a damage can't be of this panel: a sentence that is true by what is known of it."""


@dataclass
class Bench:
    """A host for one cell. folder: where exports go; switch(name, value): turn a failure of the panel on; names: what {x} stands for; started(): every argv."""

    driver: object
    system: object
    folder: Path
    switch: object = None
    secrets: tuple = ()
    names: object = None
    started: object = list
    close: object = None
    patch: object = None

    def export(self, mode="full", after=None, driver=None, **more):
        """(Outcome, what anybody could have read of it) of an export as a host makes it."""
        driver, lines = driver or self.driver, []
        driver = damaged(driver, after) if after else driver
        settings = _run.Settings(mode=mode, root=str(self.folder), scratch=False, **more)
        (outcome,) = _run.carry_out(self.system, [(driver, driver.detect(self.system), None)], settings, lines.append)
        held = [[finding.as_dict() for finding in outcome.findings], outcome.told(), outcome.document, lines, list(self.started())]
        return outcome, json.dumps(held, default=str) + (_inventory(outcome.path) if outcome.path else "")


def _inventory(path):
    held = Path(path, _export.INVENTORY)
    return gzip.decompress(held.read_bytes()).decode("utf-8") if held.exists() else ""


def damaged(driver, change):
    """The driver, after whose export change(directory) befalls its files."""
    out = types.SimpleNamespace(**{name: getattr(driver, name) for name in dir(driver) if not name.startswith("__")})

    def export(system, found, mode, target, say):
        made = driver.export(system, found, mode, target, say)
        change(Path(target))
        return made

    out.export = export
    return out


def row(name):
    """The module rows/<name>.py, None when a driver has none."""
    try:
        return importlib.import_module(ROWS + name)
    except ModuleNotFoundError as exc:
        if exc.name != ROWS + name:
            raise
        return None


def cells(name, damage):
    """[Cell] of a driver and a damage; [] when it is unfit, or forgotten."""
    held = getattr(row(name), "CELLS", {}).get(damage, Unfit())
    return [] if isinstance(held, Unfit) else list(held) if isinstance(held, (list, tuple)) else [held]


def reason(name, damage):
    """Why a damage can't be of this panel, "" when it can."""
    held = getattr(row(name), "CELLS", {}).get(damage, "")
    return str(held) if isinstance(held, Unfit) else ""


def unmet(cell, panel, names, blockers):
    """(what of the cell's `told` was not told, blockers that nobody expected). blockers: {(id, subject)}."""
    patterns = [(ident, _pattern("%s %s" % (panel, _filled(what, names)))) for ident, what in cell.told]
    also = _filled(cell.also, {key: re.escape(value) for key, value in (names or {}).items()})
    lacking = [pair for pair in patterns if not any(_meets(pair, blocker) for blocker in blockers)]
    extra = [b for b in blockers if not any(_meets(pair, b) for pair in patterns) and not (also and re.search(also, b[1][len(panel) + 1 :]))]
    return lacking, sorted(extra)


def _filled(text, names):
    return re.sub(r"\{(\w+)\}", lambda found: names[found.group(1)], text) if names else text


def _pattern(text):
    return ".*".join(re.escape(part) for part in text.split("*")) + r"\Z"


def _meets(pair, blocker):
    return blocker[0] in pair[0].split("|") and re.match(pair[1], blocker[1], re.S) is not None


def table():
    """The lines of the matrix in docs/panels.md: what each driver says of each damage, and why some can't be."""
    names = [driver.NAME for driver in _registry.DRIVERS]
    out = ["| damage | %s |" % " | ".join("`%s`" % name for name in names), "|---|%s" % ("---|" * len(names))]
    reasons = []
    for damage in DAMAGES:
        marks = []
        for name in names:
            if reason(name, damage):
                reasons += [reason(name, damage)] if reason(name, damage) not in reasons else []
                marks.append("n/a %d" % (reasons.index(reason(name, damage)) + 1))
            else:
                marks.append(_mark(cells(name, damage)))
        out.append("| %s | %s |" % (damage, " | ".join(marks)))
    return out + [""] + ["%d. %s" % (number, text) for number, text in enumerate(reasons, 1)]


def _mark(held):
    told = {"told" if cell.warns and cell.expected == "proven" else MARKS[cell.expected] for cell in held}
    return " / ".join(sorted(told, reverse=True))
