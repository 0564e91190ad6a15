# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lists of faults are whole: each says what it must be told as, in words that the baseline has, and the program that makes them packs and starts."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "molecule" / "baseline_faults"))
import drill

from ansible_collections.intact.hosting.plugins.module_utils._baseline._registry import PROBES
from ansible_collections.intact.hosting.plugins.module_utils._findings import SEVERITIES

ROOT = Path(__file__).resolve().parents[2]
PLUGINS = ROOT / "collections/ansible_collections/intact/hosting/plugins/module_utils"


@pytest.mark.parametrize("server", drill.SERVERS)
def test_a_list_has_twenty_faults_in_words_of_the_baseline(server):
    listed = drill.cases(server)
    assert len(listed) >= 20
    probes = "".join(path.read_text(encoding="utf-8") for path in (PLUGINS / "_baseline").glob("*.py"))
    for name, case in listed.items():
        assert case.severity in SEVERITIES[:2], f"{name}: a fault must be told as something that somebody looks at"
        for ident in (case.id, *([case.explains[0]] if case.explains else [])):
            section, _dot, rest = ident.partition(".")
            assert section in PROBES, f"{name}: there is no section {section}"
            assert rest.rsplit(".", 1)[-1] in probes, f"{name}: no probe says {ident}"
    assert sum(case.severity == "blocker" for case in listed.values()) >= 18
    assert set(drill.lists(server).FLOORS) <= set(PROBES) and set(drill.lists(server).ABSENT) <= set(PROBES)


@pytest.mark.parametrize("server", drill.SERVERS)
def test_every_fault_is_in_one_wave(server):
    waves = drill.waves(server)
    assert sorted(name for wave in waves for name in wave) == sorted(drill.cases(server))
    assert len({(case.id, case.subject) for case in drill.cases(server).values()}) == len(drill.cases(server)), "two faults would be told as the same finding"


def test_the_program_packs_and_says_what_it_takes(tmp_path):
    program = drill.Drill(host="shop1.lab.test", results=tmp_path).program()
    done = subprocess.run([sys.executable, str(program)], capture_output=True, text=True, check=False)
    assert done.returncode == 1 and "inject|undo|there|absent" in done.stderr
