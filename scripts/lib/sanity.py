# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Run ansible-test sanity on the built copy, without containers and without ansible-test's own download server."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import build
import steps

# ansible-test fetches this bootstrap script from one server of its own. Where that cannot be reached, Python's bundled
# pip does the same; the file is written only when there is none.
BOOTSTRAP = Path.home() / ".ansible" / "test" / "cache" / "get_pip_24_2.py"
ENSUREPIP = "import ensurepip\n\nensurepip.bootstrap()\n"


def main(arguments: list[str]) -> int:
    start = time.monotonic()
    if not BOOTSTRAP.exists():
        BOOTSTRAP.parent.mkdir(parents=True, exist_ok=True)
        BOOTSTRAP.write_text(ENSUREPIP, encoding="utf-8")
    folder = build.copy_collection()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    # With --lint the findings go to standard output and everything else, pip's noise too, to standard error.
    argv = ["ansible-test", "sanity", "--lint", "--color", "no", "--truncate", "0", "--python", version, *arguments]
    env = {**os.environ, "ANSIBLE_COLLECTIONS_PATH": str(build.BUILD / "copy"), "ANSIBLE_CONFIG": os.devnull}
    log = build.BUILD / "log" / "sanity-tool.log"
    log.parent.mkdir(parents=True, exist_ok=True)
    print("sanity: running (the first time about 70 s more, for the tools' own environments)", flush=True)
    with log.open("wb") as noise, steps.heartbeat("sanity"):
        done = subprocess.run(argv, cwd=folder, env=env, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=noise, check=False)
    sys.stdout.write(done.stdout.decode("utf-8", "replace"))
    ran = sum(line.startswith("Running sanity test") for line in log.read_text(encoding="utf-8", errors="replace").splitlines())
    if done.returncode != 0 or ran == 0:
        print(f"the end of {log}:\n{steps.tail(log, 8)}")
    code = done.returncode or (1 if ran == 0 else 0)
    print(f"sanity: {'ok' if code == 0 else 'FAILED'}, {ran} tests ({time.monotonic() - start:.0f} s)", flush=True)
    return code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
