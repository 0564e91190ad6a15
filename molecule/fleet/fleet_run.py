#!/usr/bin/env python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Runs upgrade-fleet.yml as an operator does, and can cut one server's power in the middle of its packages.

fleet_run.py PROJECT INVENTORY RESULTS NAME [--cut=CONTAINER] [--wave-budget=SECONDS]: the output goes to RESULTS/NAME.log, how it ended to RESULTS/NAME.json
({status, cut: stage or ""}). Ends with 0 when the playbook came to its end, red or not: the tests judge.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import threading
import time
from pathlib import Path

# In these dpkg works: a cut here leaves packages half there.
STAGES = ("minimal", "full")
STATE = "cat /var/lib/intact/upgrade/*/state.json"


def cut(container: str, done: threading.Event, told: dict[str, str]) -> None:
    """Kill the container when its runner is among the packages; the engine does not start it again."""
    while not done.wait(0.2):
        answer = subprocess.run(["docker", "exec", container, "sh", "-c", STATE], capture_output=True, text=True, check=False)
        try:
            state = json.loads(answer.stdout)
        except ValueError:
            continue
        if state.get("stage") in STAGES and state.get("done"):
            subprocess.run(["docker", "kill", container], capture_output=True, check=True)
            told["cut"] = state["stage"]
            return


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    for name in ("project", "inventory", "results"):
        parser.add_argument(name, type=Path)
    parser.add_argument("name")
    parser.add_argument("--cut", default="")
    parser.add_argument("--wave-budget", type=int, default=0)
    options = parser.parse_args()
    results, told, done = options.results.resolve(), {"cut": ""}, threading.Event()
    given = {
        "intact_flights_dir": str(results / "flights"),
        "intact_fleets_dir": str(results / "fleets"),
        "intact_waves": [1, 5, "100%"],
        "intact_wave_budget_seconds": options.wave_budget,
        "intact_contacts": [{"name": "The lab", "role": "everything", "phone": "none"}],
    }
    argv = ["ansible-playbook", f"--inventory={options.inventory.resolve()}", "playbooks/upgrade-fleet.yml", "--forks=6", f"--extra-vars={json.dumps(given)}"]
    knife = threading.Thread(target=cut, args=(options.cut, done, told), daemon=True)
    if options.cut:
        knife.start()
    begun, log = time.monotonic(), results / f"{options.name}.log"
    with log.open("wb") as out:
        status = subprocess.run(argv, cwd=options.project, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    done.set()
    (results / f"{options.name}.json").write_text(json.dumps(dict(told, status=status, seconds=round(time.monotonic() - begun))))
    text = log.read_text(encoding="utf-8", errors="replace")
    if "Say the verdict" not in text:
        print(text[-6000:])
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
