# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run every linter, also after one has failed, and say at the end which did. `lint [NAME...]` runs the named ones."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
COLLECTION = ROOT / "collections" / "ansible_collections" / "intact" / "hosting"
LIB = ROOT / "scripts" / "lib"

# Name, command, folder it runs in.
CHECKS: list[tuple[str, list[str], Path]] = [
    ("yamllint", ["yamllint", "--strict", "."], ROOT),
    ("ruff", ["ruff", "check", "--no-cache", "--output-format=concise", "."], ROOT),
    ("ruff-format", ["ruff", "format", "--no-cache", "--check", "--output-format=concise", "."], ROOT),
    ("roles", [sys.executable, str(LIB / "check_roles.py")], ROOT),
    ("names", [sys.executable, str(LIB / "check_names.py")], ROOT),
    ("changelog", ["antsibull-changelog", "lint"], COLLECTION),
    ("documentation", ["antsibull-docs", "lint-collection-docs", "--plugin-docs", "--skip-rstcheck", "."], COLLECTION),
    ("ansible-lint", ["ansible-lint", "--offline", "--profile", "production", "--nocolor", "-q"], ROOT),
]


def run(name: str, argv: list[str], folder: Path) -> bool:
    start = time.monotonic()
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": f"{ROOT / 'collections'}:{ROOT / '.collections'}", "NO_COLOR": "1"}
    try:
        done = subprocess.run(argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
        code, output = done.returncode, done.stdout + done.stderr
    except OSError as exc:
        code, output = 127, f"cannot run {argv[0]}: {exc.strerror}"
    seconds = time.monotonic() - start
    print(f"{'ok    ' if code == 0 else 'FAILED'} {name} ({seconds:.1f} s)", flush=True)
    if code != 0:
        print("\n".join("    " + line for line in output.strip().splitlines()) or f"    exit code {code}, no output", flush=True)
    return code == 0


def main(wanted: list[str]) -> int:
    known = [name for name, _argv, _folder in CHECKS]
    unknown = sorted(set(wanted) - set(known))
    if unknown:
        print(f"lint: no check is called {', '.join(unknown)}; there are: {', '.join(known)}", file=sys.stderr)
        return 2
    failed = [name for name, argv, folder in CHECKS if (not wanted or name in wanted) and not run(name, argv, folder)]
    if failed:
        print(f"lint: {len(failed)} of {len(wanted or known)} checks failed: {', '.join(failed)}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
