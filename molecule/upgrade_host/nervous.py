#!/usr/bin/env python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs upgrade-host.yml, presses Ctrl-C once in each stage, and starts it again, until it ends by itself.

nervous.py PROJECT INVENTORY RESULTS: writes RESULTS/interrupts.json [{stage, run, seconds, held}], each run's output to
RESULTS/run-N.log. The controller's stages are recognised by task names in its output, the host's by the progress file that
the controller keeps. Most of the host's stages are shorter than a look at them: the runner is asked to hold before their
work (distro_upgrade_hold_before) until they were hit, and each new start lets one more of them go. The controller's short
tasks are held in the same way (callback_plugins/hold_before.py). Ends with the last run's exit code.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "collections"))
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _stages

TASKS = {
    "Look | Take the baseline": "baseline before",
    "Look | Simulate the upgrade": "plan",
    "Look | Run the checks": "pre-flight checks",
    "Start | Ask every target once": "observer",
    "Capture | Take the later baseline": "baseline after",
    "Compare | Ask what a comparison cannot tell": "post-flight checks",
    "Compare | Hold the later baseline": "comparison",
    "Draw | Report": "report",
}
# Hit in the middle of their work, all others while the runner waits before it.
AT_WORK = ("bootstrap", "minimal", "full")
# Tasks that may be over before a busy machine's next look at them.
SHORT = ("observer", "comparison", "report")
MAX_RUNS = 60


def stage_of(log: Path, flights: Path) -> tuple[str, bool]:
    """(where the run is, whether the host is held there): the last task of interest, or the host's stage while it is watched."""
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
        name = f"host: {state['stage']}" if fresh and state.get("stage") and state.get("reachable", True) else ""
        return name, bool(state.get("held"))
    return next((name for words, name in TASKS.items() if words in task), ""), False


def start(project: Path, inventory: Path, flights: Path, log: Path, hold: list[str], hit: set[str]) -> subprocess.Popen[bytes]:
    """The playbook as an operator starts it, in a process group of its own, as a terminal does; waits where it was not hit yet."""
    given = json.dumps({"intact_flights_dir": str(flights), "distro_upgrade_hold_before": hold})
    argv = ["ansible-playbook", f"--inventory={inventory}", "playbooks/upgrade-host.yml", f"--extra-vars={given}"]
    # as urgent as everything else, unlike who watches it
    argv = ["nice", "-n", str(-os.nice(0)), *argv]
    before = "\n".join(words for words, name in TASKS.items() if name in SHORT and name not in hit)
    environment = os.environ | {"ANSIBLE_CALLBACK_PLUGINS": str(Path(__file__).parent / "callback_plugins"), "HOLD_BEFORE": before}
    with log.open("wb") as out:
        return subprocess.Popen(argv, cwd=project, env=environment, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)


def interrupt(run: subprocess.Popen[bytes]) -> None:
    """Ctrl-C, again when nothing comes of it (one that hits Ansible while it forks is lost), and in the end the terminal is closed."""
    for _press in range(4):
        os.killpg(run.pid, signal.SIGINT)
        try:
            run.wait(timeout=30)
            return
        except subprocess.TimeoutExpired:
            continue
    os.killpg(run.pid, signal.SIGKILL)
    run.wait(timeout=30)


def main() -> int:
    project, inventory, results = (Path(argument).resolve() for argument in sys.argv[1:4])
    flights = results / "flights"
    with contextlib.suppress(PermissionError):
        os.nice(-15)  # a busy machine must not make it miss a short task
    done: list[dict[str, object]] = []
    for number in range(1, MAX_RUNS):
        log = results / f"run-{number}.log"
        hit = {str(entry["stage"]) for entry in done}
        hold = [name for name in _stages.ORDER if name not in AT_WORK and f"host: {name}" not in hit]
        run = start(project, inventory, flights, log, hold, hit)
        begun, pressed = time.monotonic(), ""
        while run.poll() is None:
            stage, held = stage_of(log, flights)
            if stage and stage not in hit and (held or stage.removeprefix("host: ") not in hold):
                pressed = stage
                done.append({"stage": stage, "run": number, "seconds": round(time.monotonic() - begun, 1), "held": held})
                (results / "interrupts.json").write_text(json.dumps(done))
                interrupt(run)
                break
            time.sleep(0.05)
        print(f"run {number}: {'Ctrl-C in ' + pressed if pressed else 'ended'} after {time.monotonic() - begun:.0f} s, exit code {run.returncode}", flush=True)
        if not pressed:
            if run.returncode:
                print(log.read_text(encoding="utf-8", errors="replace")[-6000:])
            return run.returncode
    return 3


if __name__ == "__main__":
    sys.exit(main())
