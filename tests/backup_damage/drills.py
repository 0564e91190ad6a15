# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Damage for real: repositories are broken in every way that the issue lists, and each must be found by its own id with the object's name.

Wants root (a small tmpfs is mounted), restic and rclone; without them it fails, it does not skip. Run: python3 tests/backup_damage/drills.py [name ...]
"""

from __future__ import annotations

import os
import shutil
import sys
import time
import traceback

# Each brings its drills into the list of damage_lab.
import drills_access  # noqa: F401
import drills_damage  # noqa: F401
import drills_data  # noqa: F401
import drills_interruption  # noqa: F401
from damage_lab import DRILLS, ROOT

HERE = os.path.dirname(os.path.abspath(__file__))


def main(names):
    """Run the drills; 1 when one of them fails."""
    os.nice(15)
    missing = [program for program in ("restic", "rclone", "curl") if not shutil.which(program)]
    if missing or os.geteuid() != 0:
        print("cannot run: %s" % ("missing " + ", ".join(missing) if missing else "wants root"), file=sys.stderr)
        return 2
    failed = 0
    for function in DRILLS:
        if names and function.__name__ not in names:
            continue
        began = time.monotonic()
        try:
            told = function()
            print("ok   %-38s %5.1f s  %s" % (function.__name__, time.monotonic() - began, told), flush=True)
        except Exception as exc:  # pylint: disable=broad-exception-caught  # whatever a drill ends with, the others are run
            failed += 1
            print("FAIL %-38s %5.1f s  %s: %s" % (function.__name__, time.monotonic() - began, type(exc).__name__, exc), flush=True)
            frames = [frame for frame in traceback.extract_tb(exc.__traceback__) if os.path.dirname(os.path.abspath(frame.filename)) == HERE]
            print("       %s" % ", ".join("%s:%d" % (os.path.basename(frame.filename), frame.lineno) for frame in frames[1:]), flush=True)
    shutil.rmtree(ROOT, ignore_errors=True)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
