# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run the tests: `run-tests all | fast | molecule SCENARIO...`.

Every step runs, also after one has failed. The last lines are a table of what took how long and `N passed, N failed`,
counted in steps. Each step's whole output is in build/log/.
"""

from __future__ import annotations

import collections
import concurrent.futures
import os
import re
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path

import scenarios
import steps

ROOT = Path(__file__).resolve().parents[2]
LOGS = ROOT / "build" / "log"
SCRIPTS = ROOT / "scripts"
TAIL = 120


@dataclass
class Result:
    name: str
    ok: bool
    seconds: float
    note: str = ""


def run(name: str, argv: list[str]) -> tuple[int, float, str]:
    """One step with its output in build/log/NAME.log: exit code, seconds, output."""
    log = LOGS / f"{name.replace(' ', '-')}.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    # Wide and plain, so that the log can be read by people and by scenarios.judge().
    env = {**os.environ, "COLUMNS": "200", "NO_COLOR": "1", "ANSIBLE_FORCE_COLOR": "0", "ANSIBLE_NOCOLOR": "1", "PY_COLORS": "0"}
    steps.say(f"==> {name} ...")
    start = time.monotonic()
    with log.open("wb") as out, steps.heartbeat(name):
        code = subprocess.run(argv, cwd=ROOT, env=env, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT, check=False).returncode
    return code, time.monotonic() - start, log.read_text(encoding="utf-8", errors="replace")


def finish(name: str, problem: str, seconds: float, note: str) -> Result:
    log = LOGS / f"{name.replace(' ', '-')}.log"
    if problem:
        steps.say(f"==> {name}: FAILED, {problem} ({seconds:.0f} s); the end of {log}:\n{steps.tail(log, TAIL)}")
    else:
        steps.say(f"==> {name}: ok{', ' + note if note else ''} ({seconds:.0f} s)")
    return Result(name, not problem, seconds, problem or note)


def plain(name: str, argv: list[str]) -> Result:
    code, seconds, _output = run(name, argv)
    return finish(name, f"exit code {code}" if code else "", seconds, "")


def unit() -> Result:
    """pytest ends with 5 when it finds nothing; a run in which all was skipped proves nothing either."""
    code, seconds, output = run("unit", [sys.executable, "-m", "pytest", "-q"])
    passed = re.search(r"(\d+) passed", output)
    problem = f"exit code {code}" if code else "" if passed else "no test ran"
    return finish("unit", problem, seconds, f"{passed.group(1)} tests" if passed else "")


def images(names: list[str]) -> Result:
    """Build the images first, with their progress on the terminal: the first time this takes minutes."""
    start = time.monotonic()
    code = subprocess.run([str(SCRIPTS / "lab-images"), *names], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, check=False).returncode
    return Result("images", code == 0, time.monotonic() - start, f"exit code {code}" if code else ", ".join(names))


def molecule(scenario: str) -> Result:
    name = f"molecule {scenario}"
    lacking = scenarios.missing(ROOT, scenario)
    if lacking:
        steps.say(f"==> {name}: FAILED, {'; '.join(lacking)}")
        return Result(name, False, 0.0, lacking[0])
    code, seconds, output = run(name, ["molecule", "test", "-s", scenario])
    tests, problem = scenarios.judge(output, len(scenarios.verify_folders(ROOT, scenario)))
    if code:
        problem = f"exit code {code}"
    return finish(name, problem, seconds, f"{tests} tests")


def checks(mode: str) -> list[Result]:
    """What needs no container."""
    results = []
    if mode in ("all", "fast"):
        results.append(plain("lint", [str(SCRIPTS / "lint")]))
        results.append(unit())
    if mode == "all":
        results.append(plain("sanity", [str(SCRIPTS / "sanity")]))
        results.append(plain("build", [str(SCRIPTS / "build")]))
    return results


class Lanes:
    """Two lanes: one builds the images and plays the scenarios, the other runs what needs no container and helps with the scenarios then.

    Each scenario has containers, a network and disks of its own, and waits for them more than it computes.
    """

    def __init__(self, mode: str, chosen: list[str]) -> None:
        self.mode, self.images = mode, scenarios.images(ROOT, chosen)
        self.waiting = collections.deque(chosen)
        self.built = threading.Event()

    def scenarios(self) -> list[Result]:
        """Play one scenario after the other until none waits."""
        self.built.wait()
        results: list[Result] = []
        while True:
            try:
                scenario = self.waiting.popleft()
            except IndexError:
                return results
            results.append(molecule(scenario))

    def first(self) -> list[Result]:
        try:
            results = [images(self.images)] if self.images else []
        finally:
            self.built.set()
        return results + self.scenarios()

    def second(self) -> list[Result]:
        return checks(self.mode) + (self.scenarios() if self.mode == "all" else [])


def table(results: list[Result], seconds: float) -> str:
    width = max(len(result.name) for result in results)
    lines = ["", f"{'step':<{width}}  result    seconds  what"]
    for result in results:
        lines.append(f"{result.name:<{width}}  {'ok' if result.ok else 'FAILED':<6}  {result.seconds:>9.0f}  {result.note}".rstrip())
    lines.append(f"{'all, side by side':<{width}}          {seconds:>9.0f}")
    return "\n".join(lines)


def main(arguments: list[str]) -> int:
    mode, wanted = (arguments[0], arguments[1:]) if arguments else ("", [])
    known = scenarios.names(ROOT)
    if mode not in ("all", "fast", "molecule") or (mode == "molecule") != bool(wanted):
        print("run-tests: say 'all', 'fast', or 'molecule SCENARIO...'", file=sys.stderr)
        return 2
    unknown = [name for name in wanted if name not in known]
    if unknown:
        print(f"run-tests: there is no scenario {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    start = time.monotonic()
    own = {name: target for name in known if (target := scenarios.apart(ROOT, name))}
    lanes = Lanes(mode, wanted if mode == "molecule" else [name for name in known if name not in own] if mode == "all" else [])
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        both = pool.submit(lanes.second), pool.submit(lanes.first)
        results = [result for lane in both for result in lane.result()]
    failed = sum(not result.ok for result in results)
    print(table(results, time.monotonic() - start))
    if mode == "all" and own:
        print(f"not run here, each has a target of its own: {', '.join(f'{name} (make {target})' for name, target in own.items())}")
    # Last, so that it is seen where only the end of the output is kept.
    for result in results:
        if not result.ok:
            log = LOGS / f"{result.name.replace(' ', '-')}.log"
            print(f"\n{result.name}: {result.note}; what its log says of it ({log}):\n{steps.telling(log)}")
    print(f"{len(results) - failed} passed, {failed} failed", flush=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
