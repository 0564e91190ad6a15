# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A drill of what our program backed up, by the code of the module restore_drill."""

from __future__ import annotations

import time
from pathlib import Path

import programs

from ansible_collections.intact.hosting.plugins.module_utils._backup import _arguments, _drill, _scratch

GIB = 1 << 30


def drill(contender: programs.Ours, scratch: Path) -> dict[str, float]:
    """Seconds of restoring, of looking and comparing, and of all of it, for so many GiB. A drill that proves nothing ends the measurement."""
    entries = [{"name": r.name, "url": str(r), "password_file": str(contender.place / "password")} for r in contender.repositories]
    parameters = {"program": "restic", "cache_dir": str(contender.place / "cache")}
    sources = {entry["name"]: _arguments.source(entry, parameters) for entry in entries}
    began = time.monotonic()
    with _scratch.Scratch(str(scratch)) as held:
        drilled = _drill.Drill(sources, held, programs.HOST)
        proven = [repository["classes"]["files"] for repository in drilled.run(["files"]).values()]
    wrong = [finding.as_dict() for finding in drilled.findings]
    if wrong or any(entry["result"] != "proven" for entry in proven):
        raise SystemExit(f"the drill failed: {proven} {wrong[:5]}")
    return {
        "gib": sum(entry["bytes"] for entry in proven) / GIB,
        "restore": sum(entry["seconds"] for entry in proven),
        "compare": sum(entry["compare_seconds"] for entry in proven),
        "all": round(time.monotonic() - began, 1),
    }
