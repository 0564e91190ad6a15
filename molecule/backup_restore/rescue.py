# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Restore the fresh host as an operator does, while customers ask for their pages; kill the restore once in the middle of the mail and start it again.

rescue.py PROJECT INVENTORY RESULTS: writes RESULTS/rescue.json {runs: [{rc, seconds, out}], pages: {page: seconds until it was served}, cut: seconds}.
"""

from __future__ import annotations

import importlib.util
import json
import ssl
import subprocess
import sys
import threading
import time
from pathlib import Path

ADDRESS = "172.30.48.50"
CONTAINER = "intact-m-backup-web2"
JOURNAL = "/var/lib/intact/restores/lost/journal.jsonl"
# The module comes by standard input: its command line is Python's name alone.
KILL = """for p in /proc/[0-9]*; do
  [ "$(tr '\\0' ' ' <$p/cmdline 2>/dev/null)" = '/usr/bin/python3 ' ] && kill -KILL ${p#/proc/}
done
pkill -KILL restic; true"""


def lab_check(project: Path):  # type: ignore[no-untyped-def]
    spec = importlib.util.spec_from_file_location("lab_check", project / "molecule/_shared/lab-check.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules["lab_check"] = module
    spec.loader.exec_module(module)
    module.TIMEOUT = 5
    return module


class Customer(threading.Thread):
    """Asks for every page until it is right; remembers when that was."""

    def __init__(self, project: Path, authority: Path) -> None:
        super().__init__(daemon=True)
        self.lab, self.authority = lab_check(project), authority
        self.begun, self.served = time.monotonic(), {}

    def run(self) -> None:
        context = ssl.create_default_context(cafile=str(self.authority))
        waiting = {f"{name}{path}": (name, path, status, text) for name, path, _plain, status, text in self.lab.SITES}
        while waiting:
            for page, (name, path, status, text) in list(waiting.items()):
                try:
                    self.lab.site(ADDRESS, context, name, path, status, text, True)
                except Exception:  # not there yet, whatever the reason
                    continue
                self.served[page] = round(time.monotonic() - self.begun, 1)
                del waiting[page]
            time.sleep(0.3)


def journal() -> str:
    return subprocess.run(["docker", "exec", CONTAINER, "cat", JOURNAL], capture_output=True, text=True, check=False).stdout


def mail_has_begun() -> bool:
    events = [json.loads(line) for line in journal().splitlines() if line.endswith("}")]
    return any(event["step"] == "mail" and event["stage"] == "stopped" for event in events)


def main() -> int:
    project, inventory, results = (Path(argument).resolve() for argument in sys.argv[1:4])
    argv = ["ansible-playbook", f"--inventory={inventory}", "playbooks/restore-host.yml", "-e", "intact_hosts=fresh_hosts", "-e", "host_restore_id=lost"]
    customer = Customer(project, results / "lab-ca.crt")
    customer.start()
    told: dict[str, object] = {"runs": [], "cut": None}
    for attempt in (1, 2, 3):
        log = results / f"restore-{attempt}.log"
        begun = time.monotonic()
        with log.open("wb") as out:
            run = subprocess.Popen(argv, cwd=project, stdin=subprocess.DEVNULL, stdout=out, stderr=subprocess.STDOUT)
            while run.poll() is None:
                if attempt == 1 and told["cut"] is None and mail_has_begun():
                    subprocess.run(["docker", "exec", CONTAINER, "sh", "-c", KILL], check=False)
                    told["cut"] = round(time.monotonic() - customer.begun, 1)
                time.sleep(0.1)
        told["runs"].append({"rc": run.returncode, "seconds": round(time.monotonic() - begun, 1), "out": log.read_text(encoding="utf-8", errors="replace")})
        # a third time: nothing is left to do
        if attempt == 2 and run.returncode:
            break
    customer.join(timeout=5)
    told["pages"], told["asked"] = customer.served, len(customer.lab.SITES)
    (results / "rescue.json").write_text(json.dumps(told), encoding="utf-8")
    served = sorted(customer.served.values()) or [0.0]
    whole = sum(run["seconds"] for run in told["runs"][:2])
    print(f"first page after {served[0]} s, all {len(customer.served)} after {served[-1]} s, everything after {whole:.1f} s (with one cut at {told['cut']} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
