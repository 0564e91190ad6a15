# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Cut real upgrades in the middle, many times: torture [-n N] [--seed S] [--jobs J] [--only NUMBER...] [--sample] [--kinds KIND...]

Each flight is a systemd container with a release of its own, its cut and moment drawn from the seed. A flight that does not end as it must keeps its journal,
state and logs below build/torture/SEED-NUMBER, and the command that repeats it is printed. The result is written to build/torture/result.json.
"""

from __future__ import annotations

import argparse
import json
import os
import queue
import shutil
import subprocess
import sys
import threading
import time
import traceback
from collections import Counter
from pathlib import Path
from typing import Any

import torture_cuts
import torture_disk
import torture_machine
from steps import StepFailed, say
from torture_cuts import Cut
from torture_flight import Flight
from torture_mirror import Mirror

ROOT = Path(__file__).resolve().parents[2]
OUT = ROOT / "build" / "torture"
DONE = ("done", "stopped as documented, mended, done")


def text_of(cut: dict[str, Any] | Cut) -> str:
    """A cut in words."""
    facts = cut if isinstance(cut, dict) else cut.as_dict()
    words = f"{facts['kind']} in {facts['stage']}, {facts['event']} {facts['number']}"
    return words + (f" (hit {facts['hit']})" if facts.get("late") else "")


class Lane(threading.Thread):
    """Flies one flight after the other on its own address."""

    def __init__(self, number: int, base: Path, waiting: queue.SimpleQueue[tuple[int, list[Cut]]], args: argparse.Namespace) -> None:
        super().__init__(daemon=True)
        self.number, self.base, self.waiting, self.args = number, base, waiting, args
        self.results: list[dict[str, Any]] = []

    def run(self) -> None:
        while True:
            try:
                number, cuts = self.waiting.get_nowait()
            except queue.Empty:
                return
            self.results.append(self.fly(number, cuts))

    def fly(self, number: int, cuts: list[Cut]) -> dict[str, Any]:
        network, seed = torture_machine.NETWORKS[self.args.net], self.args.seed
        disk = torture_disk.Disk(torture_disk.place() / f"{os.getpid()}-{number}", self.base / "tree")
        machine = torture_machine.Machine(network, number, disk, 10 + self.number)
        mirror = Mirror(self.base / "repository", network.gateway)
        flight = Flight(machine, mirror, cuts)
        folder = self.args.out / f"{seed}-{number}"
        shutil.rmtree(folder, ignore_errors=True)
        try:
            result = flight.run()
        except Exception as exc:
            result = {"cuts": flight.strikes.done, "missed": [], "end": "the test itself failed", "stops": flight.stops, "flight_seconds": 0, "seconds": 0}
            result["problems"] = [*flight.problems, f"{type(exc).__name__}: {exc}", traceback.format_exc()]
        result.update(number=number, seed=seed, sample=self.args.sample, kept=str(folder), drawn=[cut.as_dict() for cut in cuts])
        try:
            if result["problems"] or self.args.keep:
                flight.keep(folder)
                (folder / "result.json").write_text(json.dumps(result, indent=1))
        finally:
            machine.remove()
            mirror.stop()
            disk.remove()
        tell(result)
        return result


def tell(result: dict[str, Any]) -> None:
    """One line a flight, more when it did not end as it must."""
    cuts = "; ".join(text_of(cut) for cut in result["cuts"]) or "no cut"
    went = [f"{cut['went_on_after']:.0f} s" for cut in result["cuts"] if "went_on_after" in cut]
    say(f"    {result['number']:>4}  {cuts}: {result['end']}, {result['flight_seconds']:.0f} s{', went on after ' + ', '.join(went) if went else ''}")
    for problem in result["problems"]:
        say(f"          WRONG: {problem}")
    if result["problems"]:
        again = f"scripts/torture --sample --only {result['number']}" if result["sample"] else f"make torture SEED={result['seed']} ONLY={result['number']}"
        say(f"          again: {again}    kept: {result['kept']}")


def table(results: list[dict[str, Any]]) -> list[str]:
    """Cuts by kind and stage, flights by end."""
    cuts = [cut for result in results for cut in result["cuts"]]
    kinds = sorted({cut["kind"] for cut in cuts}, key=[*torture_cuts.MATRIX, *torture_cuts.CONTROLLER].index)
    count = Counter((cut["kind"], cut["hit"]) for cut in cuts)
    stages = [stage for stage in ("", *torture_cuts.STAGES) if any(count[(kind, stage)] for kind in kinds)]
    lines = ["", f"{'cut in stage':<20}" + "".join(f"{kind:>11}" for kind in kinds) + f"{'all':>7}"]
    for stage in stages:
        row = [count[(kind, stage)] for kind in kinds]
        lines.append(f"{stage or '(before)':<20}" + "".join(f"{number or '':>11}" for number in row) + f"{sum(row):>7}")
    row = [sum(count[(kind, stage)] for stage in stages) for kind in kinds]
    lines.append(f"{'all':<20}" + "".join(f"{number:>11}" for number in row) + f"{sum(row):>7}")
    went = sorted(cut["went_on_after"] for cut in cuts if "went_on_after" in cut)
    if went:
        lines.append(f"the next runner was at work after {went[len(went) // 2]:.0f} s (median), {went[-1]:.0f} s (longest)")
    lines += ["", *(f"{number:>5}  {end}" for end, number in Counter(result["end"] for result in results).most_common())]
    return lines


def summary(results: list[dict[str, Any]], seed: int, seconds: float) -> dict[str, Any]:
    """What is written for the README and for those who look later."""
    cuts = [cut for result in results for cut in result["cuts"]]
    good = [result for result in results if not result["problems"] and result["end"] in DONE]
    return {
        "seed": seed,
        "flights": len(results),
        "good": len(good),
        "cuts": len(cuts),
        "missed": sum(len(result["missed"]) for result in results),
        "by_kind": dict(Counter(cut["kind"] for cut in cuts)),
        "by_stage": dict(Counter(cut["hit"] for cut in cuts)),
        "by_end": dict(Counter(result["end"] for result in results)),
        "went_on_after": sorted(cut["went_on_after"] for cut in cuts if "went_on_after" in cut),
        "seconds": round(seconds),
        "failed": [{key: result[key] for key in ("number", "drawn", "end", "problems")} for result in results if result not in good],
        "results": sorted(results, key=lambda result: result["number"]),
    }


def wanted(args: argparse.Namespace) -> list[tuple[int, list[Cut]]]:
    """(number, cuts) of each flight that is asked for."""
    if args.sample:
        out = [(number, cuts) for number, cuts in enumerate(torture_cuts.sample(args.seed)) if not args.only or number in args.only]
    else:
        out = [(number, torture_cuts.draw(args.seed, number)) for number in (args.only or range(args.n))]
    return [(number, cuts) for number, cuts in out if not args.kinds or cuts[0].kind in args.kinds]


def main() -> int:
    parser = argparse.ArgumentParser(prog="torture", description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("-n", type=int, default=200)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--jobs", type=int, default=3)
    parser.add_argument("--only", type=int, nargs="*")
    parser.add_argument("--kinds", nargs="*", choices=[*torture_cuts.MATRIX, *torture_cuts.CONTROLLER])
    parser.add_argument("--sample", action="store_true", help="one flight for each kind of cut")
    parser.add_argument("--net", default="intact-t", choices=list(torture_machine.NETWORKS), help="the network, after which the containers are named")
    parser.add_argument("--out", type=Path, default=OUT)
    parser.add_argument("--keep", action="store_true", help="keep what all flights left, not only those that failed")
    args = parser.parse_args()
    if os.geteuid():
        raise StepFailed("loop devices and mounts need root: run this as root")
    begun = time.monotonic()
    torture_disk.clear()
    subprocess.run([sys.executable, ROOT / "scripts" / "lib" / "lab_images.py", "bookworm"], stdout=subprocess.DEVNULL, check=True)
    base = torture_disk.prepare(torture_machine.IMAGE)
    torture_machine.NETWORKS[args.net].ensure()
    waiting: queue.SimpleQueue[tuple[int, list[Cut]]] = queue.SimpleQueue()
    flights = wanted(args)
    for entry in flights:
        waiting.put(entry)
    say(f"==> torture: {len(flights)} flights, seed {args.seed}, {args.jobs} side by side")
    lanes = [Lane(number, base, waiting, args) for number in range(args.jobs)]
    for lane in lanes:
        lane.start()
    for lane in lanes:
        lane.join()
    results = [result for lane in lanes for result in lane.results]
    document = summary(results, args.seed, time.monotonic() - begun)
    torture_machine.NETWORKS[args.net].remove()
    args.out.mkdir(parents=True, exist_ok=True)
    (args.out / "result.json").write_text(json.dumps(document, indent=1))
    print("\n".join(table(results)))
    print(f"{document['cuts']} cuts in {document['flights']} flights, {document['good']} ended as they must, {document['flights'] - document['good']} did not")
    return 0 if document["good"] == len(flights) > 0 else 1


if __name__ == "__main__":
    try:
        sys.exit(main())
    except (StepFailed, torture_disk.lab_disk.DiskError) as problem:
        sys.exit(f"torture: {problem}")
