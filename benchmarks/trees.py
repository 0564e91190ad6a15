# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our copy and manifest of trees against cp, rsync, fpsync, hashdeep, b3sum and xxhsum: what they cost and what they detect, in one run."""

from __future__ import annotations

import argparse
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

import tree_corpora  # noqa: E402 (beside this file: the path is set first)
import tree_tools  # noqa: E402 (beside this file: the path is set first)

COMPARED = 1_000_000
# name of ours, name of what it is held against, what of it, most that the ratio may be
TARGETS = (
    ("mail", "intact copy", "cp -a", "cpu", 1.1),
    ("mail", "intact copy + verify", "rsync -aHAXS", "wall", 1.0),
    ("mail", "intact manifest", "hashdeep", "wall", 1.0),
)


def measure(place: Path, corpus: Path, rounds: int, wanted: list[str], cold: bool) -> dict[str, list[tree_tools.Spent]]:
    """{name: [Spent]}. Each round begins with another tool: what the machine does besides meets all of them."""
    spent: dict[str, list[tree_tools.Spent]] = {}
    chosen = [tool for tool in tree_tools.TOOLS if tool.there() and (not wanted or any(word in tool.name for word in wanted))]
    for number in range(rounds):
        for tool in chosen[number % len(chosen) :] + chosen[: number % len(chosen)]:
            work = place / "work"
            work.mkdir()
            try:
                if cold:
                    os.sync()
                    Path("/proc/sys/vm/drop_caches").write_text("3")
                else:
                    tree_corpora.read(corpus)
                took = tree_tools.spend(tool.command(corpus, work), work)
            finally:
                subprocess.run(["rm", "-rf", work], check=True)
            spent.setdefault(tool.name, []).append(took)
            print(f"  round {number + 1}  {tool.name:24} {took.cpu:8.2f} CPU s {took.wall:8.2f} s {took.memory:6.0f} MB", flush=True)
    return spent


def table(spent: dict[str, list[tree_tools.Spent]], made: dict[str, int], against: str = "cp -a") -> list[str]:
    """Medians, the least wall time, and the median of each round's own ratio of CPU seconds."""
    lines = [
        "| tool | CPU s | wall s (median) | wall s (least) | files/s | MB/s | max RSS MB | CPU ratio to %s |" % against,
        "|---|---|---|---|---|---|---|---|",
    ]
    other = spent.get(against, [])
    for name, own in spent.items():
        wall = statistics.median(s.wall for s in own)
        ratio = f"{statistics.median(a.cpu / b.cpu for a, b in zip(own, other)):.2f}" if other else ""
        cells = [f"{statistics.median(s.cpu for s in own):.2f}", f"{wall:.2f}", f"{min(s.wall for s in own):.2f}"]
        cells += [f"{made['files'] / wall:.0f}", f"{made['bytes'] / 1e6 / wall:.0f}", f"{max(s.memory for s in own):.0f}", ratio]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return lines


def detection(place: Path) -> list[str]:
    """Which of the mutations each tool sees."""
    lines = ["| tool | score | sees | misses |", "|---|---|---|---|"]
    source = place / "detect"
    tree_corpora.mixed(source, 0.0)
    for tool in tree_tools.TOOLS:
        if not tool.there() or tool.check is None:
            continue
        seen, missed = [], []
        for name, mutate in tree_corpora.MUTATIONS:
            work = place / "work"
            work.mkdir()
            try:
                subprocess.run(["cp", "-a", source, work / "target"], check=True)
                if tool.prepare:
                    tool.prepare(source, work)
                clean = tool.check(source, work)
                mutate(work / "target")
                (seen if tool.check(source, work) != clean else missed).append(name)
            finally:
                subprocess.run(["chattr", "-R", "-f", "-ia", work], check=False, capture_output=True)
                subprocess.run(["rm", "-rf", work], check=True)
        lines.append(f"| {tool.name} | {len(seen)} of {len(tree_corpora.MUTATIONS)} | {', '.join(seen) or '-'} | {', '.join(missed) or '-'} |")
    return lines


def comparison(place: Path, scale: float) -> list[str]:
    """What comparing two manifests of a million entries costs: equal ones, and ones where each entry has another owner."""
    count = max(1000, round(COMPARED * scale))
    lines = []
    work = place / "work"
    work.mkdir()
    try:
        for name, shift in (("equal", 0), ("all owners mapped", 1000), ("every time differs", -1)):
            tree_corpora.manifest(work / "a.gz", count, 0)
            tree_corpora.manifest(work / "b.gz", count, shift)
            took = tree_tools.spend(tree_tools.ours("compare", work / "a.gz", work / "b.gz", str(max(shift, 0))), work)
            lines.append(f"compare, {count} entries, {name}: {took.wall:.1f} s, {took.cpu:.1f} CPU s, {took.memory:.0f} MB (target at 1,000,000: 10 s, 300 MB)")
    finally:
        shutil.rmtree(work)
    return lines


def verdicts(results: dict[str, dict]) -> list[str]:
    """The targets, and whether they were met."""
    lines = []
    for corpus, name, against, what, most in TARGETS:
        own, other = (results.get(corpus, {}).get(key, []) for key in (name, against))
        if own and other:
            ratio = statistics.median(getattr(a, what) / getattr(b, what) for a, b in zip(own, other))
            lines.append(f"target {corpus}: {name} / {against}, {what}: {ratio:.2f}, at most {most}: {'met' if ratio <= most else 'MISSED'}")
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--directory", type=Path, default=Path("/var/tmp/intact-bench-trees"), help="where trees go; it must not be there. On tmpfs: CPU cost alone"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of 120,000 files, of 4 x 1 GiB and of 1,000,000 records")
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--corpus", action="append", choices=tuple(tree_corpora.CORPORA), help="only these")
    parser.add_argument("--only", action="append", default=[], help="a part of the names of tools to run")
    parser.add_argument("--cold", action="store_true", help="drop the machine's page cache before each run")
    parser.add_argument("--no-detect", action="store_true")
    parser.add_argument("--no-compare", action="store_true")
    options = parser.parse_args()
    if os.geteuid():
        parser.error("run it as root: owners, ACLs and flags are part of what is copied")
    # what was made is removed also when it is stopped
    signal.signal(signal.SIGTERM, lambda *_signal: sys.exit(143))
    place = options.directory.resolve()
    place.mkdir(parents=True)
    results: dict[str, dict] = {}
    out: list[str] = []
    try:
        load = ", ".join(f"{value:.1f}" for value in os.getloadavg())
        print(f"{os.cpu_count()} CPUs, Python {platform.python_version()}, load before the run {load}; {'cold' if options.cold else 'warm'} cache", flush=True)
        for tool in tree_tools.TOOLS:
            if not tool.there():
                print(
                    f"{tool.name}: not measured, {tool.program if tool.imports == 'sys' else tool.imports} is not installed (apt install {tool.package})",
                    flush=True,
                )
        for name in options.corpus or tree_corpora.CORPORA:
            corpus = place / name
            began = time.monotonic()
            made = tree_corpora.CORPORA[name](corpus, options.scale)
            print(f"{name}: {made['files']} files, {made['bytes'] / 1e9:.2f} GB ({time.monotonic() - began:.0f} s)", flush=True)
            os.sync()
            results[name] = measure(place, corpus, options.rounds, options.only, options.cold)
            out += ["", f"### {name}: {made['files']} files, {made['bytes'] / 1e9:.2f} GB", "", *table(results[name], made)]
            shutil.rmtree(corpus)
        if not options.no_detect:
            out += ["", "### What they detect", "", *detection(place)]
        if not options.no_compare:
            out += ["", *comparison(place, options.scale)]
    finally:
        subprocess.run(["rm", "-rf", place], check=True)
    print("\n".join([*out, "", *verdicts(results)]))
    return 0


if __name__ == "__main__":
    sys.exit(main())
