#!/usr/bin/env python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs upgrade-host.yml, presses Ctrl-C once in each stage that is seen, and starts it again, until it ends by itself.

nervous.py PROJECT INVENTORY RESULTS: writes RESULTS/interrupts.json [{stage, run, seconds}], each run's output to
RESULTS/run-N.log. Stages of the controller are recognised by task names in its output, those of the host by the
progress file that the controller keeps. Ends with the last run's exit code.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

TASKS = {
    "Look | Take the baseline": "baseline before",
    "Look | Run the checks": "pre-flight checks",
    "Capture | Take the later baseline": "baseline after",
    "Compare | Hold the later baseline": "comparison",
}
MAX_RUNS = 40


def stage_of(log: Path, flights: Path) -> str:
    """Where the run is: the last task of interest in its output, or the host's stage while the upgrade is watched."""
    text = log.read_text(encoding="utf-8", errors="replace")
    last = text.rfind("\nTASK [")
    task = text[last : text.find("\n", last + 1)] if last >= 0 else ""
    if "Watch until the host is done" in task:
        newest = max(flights.glob("*/progress.json"), key=lambda path: path.stat().st_mtime, default=None)
        try:
            state = json.loads(newest.read_text()) if newest else {}
        except ValueError:
            state = {}
        fresh = newest and newest.stat().st_mtime > log.stat().st_ctime - 60
        return f"host: {state['stage']}" if fresh and state.get("stage") and state.get("reachable", True) else ""
    return next((name for words, name in TASKS.items() if words in task), "")


def main() -> int:
    project, inventory, results = (Path(argument).resolve() for argument in sys.argv[1:4])
    flights = results / "flights"
    done: list[dict[str, object]] = []
    for number in range(1, MAX_RUNS):
        log = results / f"run-{number}.log"
        argv = ["ansible-playbook", f"--inventory={inventory}", "playbooks/upgrade-host.yml", f"--extra-vars=intact_flights_dir={flights}"]
        with log.open("wb") as out:
            run = subprocess.Popen(argv, cwd=project, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)
        begun, pressed = time.monotonic(), ""
        while run.poll() is None:
            stage = stage_of(log, flights)
            if stage and stage not in [entry["stage"] for entry in done]:
                time.sleep(0.7)  # into the stage, not at its edge
                os.killpg(run.pid, signal.SIGINT)
                pressed = stage
                done.append({"stage": stage, "run": number, "seconds": round(time.monotonic() - begun, 1)})
                (results / "interrupts.json").write_text(json.dumps(done))
                run.wait(timeout=120)
                break
            time.sleep(0.2)
        print(f"run {number}: {'Ctrl-C in ' + pressed if pressed else 'ended'} after {time.monotonic() - begun:.0f} s, exit code {run.returncode}", flush=True)
        if not pressed:
            if run.returncode:
                print(log.read_text(encoding="utf-8", errors="replace")[-6000:])
            return run.returncode
    return 3


if __name__ == "__main__":
    sys.exit(main())
