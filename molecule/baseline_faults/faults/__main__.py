# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Faults of a maintenance, made and taken back on a server of the lab: faults SERVER inject|undo|there|absent [NAME...].

there ends with 0 when every named fault is on the host, absent when none is. SERVER names the list (web1, shop1, relay1): each
is data for the kinds of faults beside it. Works on Debian 12 and on 13 after an upgrade. drill.py packs this folder and runs it.
"""

from __future__ import annotations

import importlib
import sys

from fault_kinds import STATE


def main() -> int:
    if len(sys.argv) < 3 or sys.argv[2] not in ("inject", "undo", "there", "absent"):
        sys.exit(__doc__)
    cases = importlib.import_module(sys.argv[1]).CASES
    action, names = sys.argv[2], sys.argv[3:] or list(cases)
    STATE.mkdir(mode=0o700, exist_ok=True)
    wrong = []
    for name in reversed(names) if action == "undo" else names:
        fault = cases[name].fault
        fault.keep = STATE / name
        if action in ("there", "absent"):
            if fault.there() != (action == "there"):
                wrong.append(name)
        else:
            getattr(fault, action)()
    if wrong:
        print(f"not {action}: {' '.join(wrong)}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
