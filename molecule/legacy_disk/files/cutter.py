#!/usr/bin/env python3
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Waits on the new server until a phase of the migration runs, and kills what works there: cutter.py PHASE WORDS WHO.

Prints {"running": whether the phase was unfinished then, "killed": how many processes}. WORDS: what the phase must have told before, "" for nothing. WHO: host,
or controller, which somebody else kills.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import sys
import time
from pathlib import Path

HOME = Path("/var/lib/intact/migrations")


def status(phase: str) -> str:
    for path in HOME.glob(f"*/{phase}.json"):
        with contextlib.suppress(OSError, ValueError):
            return json.loads(path.read_text()).get("status", "")
    return ""


def told(phase: str, words: str) -> bool:
    for path in HOME.glob("*/progress.log"):
        with contextlib.suppress(OSError):
            return any(f" {phase} " in line and words in line for line in path.read_text(errors="replace").splitlines())
    return False


def workers() -> list[int]:
    """Python that Ansible started here."""
    found = []
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and int(entry.name) != os.getpid():
            with contextlib.suppress(OSError):
                words = (entry / "cmdline").read_bytes()
                if b"python3" in words.split(b"\0", 1)[0] and b"AnsiballZ" in words:
                    found.append(int(entry.name))
    return found


def main(phase: str, words: str, who: str) -> int:
    end, scanned, found = time.monotonic() + 900, 0.0, []
    while status(phase) != "running" or (words and not told(phase, words)):
        now = time.monotonic()
        if now > end:
            print(json.dumps({"running": False, "why": "it never ran"}))
            return 1
        # the shortest phases are over in less time than a look at all processes takes
        if now - scanned > 0.03:
            scanned, found = now, workers()
        time.sleep(0.0005)
    for pid in found if who == "host" else []:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)
    print(json.dumps({"running": status(phase) == "running", "killed": len(found) if who == "host" else 0}))
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:4]))
