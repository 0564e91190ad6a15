# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What playbooks and roles hand to the report has the names that the report knows."""

from __future__ import annotations

from pathlib import Path

import yaml

from ansible_collections.intact.hosting.plugins.module_utils._report import _load, _rollback
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _drivers

ROOT = Path(__file__).resolve().parents[2]


def tasks(path):
    """All tasks of a file, those in blocks too."""
    rest, out = list(yaml.safe_load(path.read_text(encoding="utf-8"))), []
    while rest:
        task = rest.pop()
        out.append(task)
        for part in ("block", "rescue", "always", "tasks"):
            rest += task.get(part) or []
    return out


def test_going_back_by_itself_is_told_from_a_person():
    said = [(task.get("vars") or {}).get("rollback_who") for task in tasks(ROOT / "playbooks/tasks/upgrade-host-fly.yml")]
    assert [who for who in said if who] == [_rollback.AUTOMATIC]
    assert yaml.safe_load((ROOT / "roles/rollback/defaults/main.yml").read_text(encoding="utf-8"))["rollback_who"] != _rollback.AUTOMATIC


def test_every_driver_of_the_way_back_has_words_in_the_report():
    assert set(_rollback.DRIVERS) == {*_drivers.DRIVERS, "none"}


def test_what_the_report_reads_of_the_host_is_brought_home():
    """The observer, the progress and what only the controller has are not on the host."""
    known = yaml.safe_load((ROOT / "roles/flight_report/vars/main.yml").read_text(encoding="utf-8"))["__flight_report_files"]
    wanted = {name + ".json" for name in _load.DOCUMENTS if name not in ("outages", "progress")} | {name + ".json.gz" for name in _load.BASELINES}
    assert wanted <= set(known)


def test_what_the_report_reads_of_earlier_hops_is_brought_home():
    loops = [task["loop"] for task in tasks(ROOT / "playbooks/tasks/upgrade-host-hop.yml") if "fetch" in str(sorted(task)) and "loop" in task]
    assert any({name + ".json" for name in _load.HOP_DOCUMENTS} <= set(loop) for loop in loops)
