# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""An export of a stand-in, made by its driver and judged as a host does it; and the search for secrets in all that came out of it."""

from __future__ import annotations

import json
import sys
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _rooted
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _mysql_look, _run, _verify

TESTS = next((p / "tests" for p in Path(__file__).resolve().parents if (p / "tests" / "stand_ins").is_dir()), None)
if TESTS is None:
    # the built collection has no stand-ins: they are the repository's
    pytest.skip("tests/stand_ins is not in this tree", allow_module_level=True)
if str(TESTS) not in sys.path:
    sys.path.append(str(TESTS))


class Run:
    """One export: what was known before, what the panel said, where it lies, and what was found."""

    def __init__(self, driver, machine, folder, mode="settings", passphrase_file=None, inventory=None, break_it=None):
        self.driver, self.machine, self.lines = driver, machine, []
        view = machine.view()
        found = driver.detect(view)
        self.inventory = inventory or driver.inventory(view, found)
        with _export.begin(driver.NAME, mode, str(folder)) as work:
            self.made = driver.export(view, found, mode, work.target, self.lines.append)
            if break_it:
                break_it(work.target)
            facts = {"version": found["version"], "met": driver.MET, "host": "host", "host_id": "x", "seconds": 1.0}
            document = _export.store(work, self.made, self.inventory, facts, passphrase_file)
            self.path = _export.seal(work, dict(document, verdict="unproven"))
        self.passphrase_file = passphrase_file
        self.judge()

    def judge(self):
        """Read the export as it is now."""
        with self.opened() as opened:
            self.findings, self.verdict = _verify.judge(self.driver, opened)
            self.document = opened.document

    def opened(self):
        return _verify.Opened(self.path, self.passphrase_file)

    def told(self, severity="blocker"):
        """{(id, subject)} of the findings of a severity."""
        return {(finding.id, finding.subject) for finding in self.findings if finding.severity == severity}


def whole(driver, machine, folder):
    """The Outcome of an export as a host makes it: its programs are processes, with the checks before it and the panel's own after it."""
    view = machine.view()
    view.apart = True
    return _run.export(view, driver, driver.detect(view), _run.Settings(root=str(folder)))


def leaked(secrets, machine, run, more=()):
    """[(secret, where)] of planted secrets in what may be seen: findings, inventory, document, what was said, arguments of programs, world-readable files."""
    seen = {
        "findings": json.dumps([finding.as_dict() for finding in [*run.findings, *more]]),
        "inventory": json.dumps(run.inventory),
        "document": json.dumps(run.document),
        "said": json.dumps([run.made["said"], run.lines]),
        "arguments": json.dumps(machine.started()),
    }
    for path in Path(run.path).rglob("*"):
        if path.is_file() and path.stat().st_mode & 0o077:
            seen[str(path)] = path.read_bytes().decode("latin-1")
    return [(name, where) for name, secret in secrets.items() for where, text in seen.items() if secret in text or json.dumps(secret)[1:-1] in text]


def disk(root):
    """A stand-in's files as a mounted disk: no program can be run there."""
    return _rooted.Rooted(str(root))


class Query:
    """What a rescue gives: questions to the disk's database, which was started cold."""

    def __init__(self, machine):
        self._ask = _mysql_look.asking(machine.view())

    def __call__(self, database, sql):
        return self._ask(database, sql)


def rescued(driver, machine, folder, inventory, monkeypatch=None):
    """As Run, from a disk. monkeypatch: let the server that was started cold give dumps as well."""
    if monkeypatch:
        from stand_ins import mysql_server

        def dumped(_query, database, path):
            Path(path).write_text(mysql_server.dumped(machine, database)[0])
            return ""

        monkeypatch.setattr(_mysql_look, "dumped", dumped)
    return Run(Rescue(driver, machine), machine, folder, inventory=inventory)


class Rescue:
    """A driver's rescue in the place of its export."""

    def __init__(self, driver, machine):
        self._driver, self._machine = driver, machine
        self.NAME, self.MET, self.verify = driver.NAME, driver.MET, driver.verify

    def detect(self, view):
        return self._driver.detect(disk(self._machine.root))

    def export(self, view, found, mode, target, say):
        return self._driver.rescue(disk(self._machine.root), found, Query(self._machine), target)
