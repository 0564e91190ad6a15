# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""One clear line per step on the terminal, the noise in a log file, its end on failure."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

HEARTBEAT_SECONDS = 15
TAIL_LINES = 30
# What the tools print where something went wrong: pytest, Ansible, Molecule, make and Python themselves.
TELLING = re.compile(r"^(E  |FAILED |FATAL|ERROR|\S*:\d+:\d+: |fatal: |failed: |\[ERROR\]|CRITICAL|Traceback|\w*(Error|Exception): |run \d+: )|MODULE FAILURE")


class StepFailed(Exception):
    """A step ended badly; the message is for the person at the terminal."""


def say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def tail(log: Path, lines: int = TAIL_LINES) -> str:
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    return "\n".join("    " + line for line in text.splitlines()[-lines:])


def telling(log: Path, lines: int = 20, width: int = 600) -> str:
    """The lines of a log that say what went wrong, each cut to `width`: the last ones, which ended it."""
    try:
        text = log.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""
    found = [line[:width] for line in text.splitlines() if TELLING.search(line)]
    return "\n".join("    " + line for line in found[-lines:])


@contextmanager
def heartbeat(label: str) -> Iterator[None]:
    """Repeat the label with the elapsed seconds while something long runs."""
    done = threading.Event()
    start = time.monotonic()

    def beat() -> None:
        while not done.wait(HEARTBEAT_SECONDS):
            say(f"    {label}: {time.monotonic() - start:.0f} s so far")

    thread = threading.Thread(target=beat, daemon=True)
    thread.start()
    try:
        yield
    finally:
        done.set()
        thread.join()


def run(label: str, argv: list[str], log: Path, cwd: Path | None = None, env: dict[str, str] | None = None) -> float:
    """Run one command with its output in `log` (appended); seconds it took.

    Raises StepFailed with the log's last lines when the command is missing or ends with an error.
    """
    log.parent.mkdir(parents=True, exist_ok=True)
    start = time.monotonic()
    with log.open("ab") as out, heartbeat(label):
        out.write(("\n$ " + " ".join(argv) + "\n").encode())
        out.flush()
        try:
            code = subprocess.run(
                argv,
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=subprocess.STDOUT,
                cwd=cwd,
                env={**os.environ, **(env or {})},
                check=False,
            ).returncode
        except OSError as exc:
            raise StepFailed(f"{label}: cannot run {argv[0]}: {exc.strerror}") from exc
    seconds = time.monotonic() - start
    if code != 0:
        raise StepFailed(f"{label}: failed with exit code {code} after {seconds:.0f} s; the end of {log}:\n{tail(log)}")
    return seconds
