# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our backup against plain restic and borg, on the same data in the same run, as ratios of CPU seconds and wall time; and the seconds of a drill per GiB."""

from __future__ import annotations

import argparse
import json
import os
import platform
import shutil
import signal
import statistics
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "collections"), str(ROOT / "benchmarks")]

import dataset  # noqa: E402 (beside this file: the path is set first)
import programs  # noqa: E402 (beside this file: the path is set first)
from drill import drill  # noqa: E402 (beside this file: the path is set first)

# name, class, repositories, name of what it is held against
CONTENDERS = (
    ("restic, 1 repository", programs.Restic, 1, ""),
    ("intact, 1 repository", programs.Ours, 1, "restic, 1 repository"),
    ("restic, 2 repositories", programs.Restic, 2, ""),
    ("intact, 2 repositories", programs.Ours, 2, "restic, 2 repositories"),
    ("borg, 1 repository", programs.Borg, 1, "restic, 1 repository"),
)
PHASES = ("first", "unchanged")
# Data that was just written is read again by the next backup (see _files_cache.REST): customers' files are older.
RESTED = 125


def measure(place: Path, data: Path, rounds: int, wanted: list[str], drills_wanted: bool) -> tuple[dict, list[dict]]:
    """({(name, phase): [Spent]}, drills). Each round begins with another program: what the machine does besides meets all of them."""
    spent: dict[tuple[str, str], list[programs.Spent]] = {}
    drills = []
    chosen = [c for c in CONTENDERS if not wanted or any(word in c[0] for word in wanted)]
    for number in range(rounds):
        for name, kind, repositories, _against in chosen[number % len(chosen) :] + chosen[: number % len(chosen)]:
            contender = kind(name, place / f"{number}-{name.replace(', ', '-').replace(' ', '-')}", data, repositories)
            contender.begin()
            for phase in PHASES:
                dataset.read(data)
                took = contender.backup()
                spent.setdefault((name, phase), []).append(took)
                print(f"  round {number + 1}  {name:24} {phase:10} {took.cpu:8.2f} CPU s {took.wall:8.2f} s", flush=True)
            if drills_wanted and kind is programs.Ours and repositories == 1:
                drills.append(drill(contender, place / "scratch"))
                print(f"  round {number + 1}  drill: {json.dumps(drills[-1])}", flush=True)
            contender.remove()
    return spent, drills


def table(spent: dict) -> list[str]:
    """Medians, and the median of each round's own ratio."""
    lines = ["| program | backup | CPU s | wall s | CPU ratio | wall ratio |", "|---|---|---|---|---|---|"]
    for phase in PHASES:
        for name, _kind, _repositories, against in CONTENDERS:
            own, other = spent.get((name, phase), []), spent.get((against, phase), [])
            if not own:
                continue
            cells = [f"{statistics.median(s.cpu for s in own):.1f}", f"{statistics.median(s.wall for s in own):.1f}"]
            if other:
                cells += [f"{statistics.median(getattr(a, what) / getattr(b, what) for a, b in zip(own, other, strict=True)):.2f}" for what in ("cpu", "wall")]
            else:
                cells += ["1", "1"]
            lines.append(f"| {name} | {phase} | {' | '.join(cells)} |")
    return lines


def machine() -> str:
    """What it was measured on."""
    said = subprocess.run(["restic", "version"], capture_output=True, text=True, check=True).stdout.split()
    borg = subprocess.run(["borg", "--version"], capture_output=True, text=True, check=True).stdout.split() if shutil.which("borg") else ["", "none"]
    load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
    return f"{os.cpu_count()} CPUs, Python {platform.python_version()}, restic {said[1]}, borg {borg[1]}, load before the run {load}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--directory", type=Path, default=Path("/var/tmp/intact-bench"), help="where data and repositories go; it must not be there")
    parser.add_argument("--scale", type=float, default=1.0, help="share of 120,000 small files and 4 x 1 GiB")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", action="append", default=[], help="a part of the names of programs to run")
    parser.add_argument("--no-drill", action="store_true", help="measure backups only")
    options = parser.parse_args()
    # what was made is removed also when it is stopped
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(143))
    place = options.directory.resolve()
    place.mkdir(parents=True)
    try:
        print(machine(), flush=True)
        began = time.monotonic()
        made = dataset.make(place / "data", options.scale)
        print(f"{made['small']} small files and {made['big']} big ones, {made['bytes'] / dataset.GIB:.2f} GiB ({time.monotonic() - began:.0f} s)", flush=True)
        time.sleep(RESTED)
        spent, drills = measure(place, place / "data", options.rounds, options.only, not options.no_drill)
    finally:
        shutil.rmtree(place)
    print("\n" + "\n".join(table(spent)))
    for what in ("restore", "compare", "all"):
        if drills:
            print(f"drill, {what}: {statistics.median(d[what] / d['gib'] for d in drills):.1f} s per GiB")
    return 0


if __name__ == "__main__":
    sys.exit(main())
