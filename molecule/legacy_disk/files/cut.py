#!/usr/bin/env python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs migrate-legacy-disk.yml once for each phase and ends it in the middle of that phase: on the host the work is killed, or else the controller.

cut.py PROJECT INVENTORY RESULTS CONTAINER: writes RESULTS/cuts.json [{phase, who, running, killed, rc}], each run's output to RESULTS/cut-PHASE.log. Ends
with 1 when a run failed before the phase that it should have been cut in.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

# The words of progress after which each is cut, "" at once; and who is killed. A controller is too far away from the short ones.
PHASES = {
    "accounts": ("", "host"),
    "files": ("is read back from the device", "controller"),
    "databases": ("loading ", "host"),
    "mail": ("mail of alice", "controller"),
    "lists": ("list members", "host"),
    "jobs": ("", "host"),
    "plan": ("", "host"),
}


def start(project: Path, inventory: Path, log: Path) -> subprocess.Popen[bytes]:
    with log.open("wb") as out:
        argv = ["ansible-playbook", f"--inventory={inventory}", "playbooks/migrate-legacy-disk.yml", "--extra-vars=intact_hosts=hosting_servers"]
        return subprocess.Popen(argv, cwd=project, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, start_new_session=True)


def cut(project: Path, inventory: Path, results: Path, container: str, phase: str) -> dict[str, object]:
    words, who = PHASES[phase]
    script = ["docker", "exec", container, "python3", "/opt/cutter.py", phase, words, who]
    waiting = subprocess.Popen(script, stdout=subprocess.PIPE, text=True)
    run = start(project, inventory, results / f"cut-{phase}.log")
    while waiting.poll() is None and run.poll() is None:
        time.sleep(0.02)
    if run.poll() is not None:
        waiting.kill()
        return {"phase": phase, "who": who, "running": False, "rc": run.returncode, "why": "the playbook ended before it"}
    if who == "controller":
        os.killpg(run.pid, signal.SIGKILL)
    told = json.loads(waiting.communicate()[0] or "{}")
    try:
        run.wait(timeout=300)
    except subprocess.TimeoutExpired:
        os.killpg(run.pid, signal.SIGKILL)
        told["why"] = "the playbook did not notice within 300 s"
    return {"phase": phase, "who": who, "rc": run.wait(), **told}


def main() -> int:
    project, inventory, results = (Path(argument).resolve() for argument in sys.argv[1:4])
    done = []
    for phase in PHASES:
        begun = time.monotonic()
        done.append(cut(project, inventory, results, sys.argv[4], phase))
        (results / "cuts.json").write_text(json.dumps(done))
        print(f"{done[-1]}, {time.monotonic() - begun:.0f} s", flush=True)
        if not done[-1]["running"]:
            print((results / f"cut-{phase}.log").read_text(errors="replace")[-6000:])
    return 0 if all(entry["running"] for entry in done) else 1


if __name__ == "__main__":
    sys.exit(main())
