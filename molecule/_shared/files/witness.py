# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What `ps` would have shown to anybody: every command line that was seen, once each. witness.py FILE"""

from __future__ import annotations

import os
import sys
import time

seen = set()
with open(os.open(sys.argv[1], os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb", buffering=0) as out:
    while True:
        for number in os.listdir("/proc"):
            if number.isdigit():
                try:
                    with open("/proc/%s/cmdline" % number, "rb") as handle:
                        line = handle.read().replace(b"\0", b" ")
                except OSError:
                    continue
                if line and line not in seen:
                    seen.add(line)
                    out.write(line.replace(b"\n", b" ") + b"\n")
        time.sleep(0.04)
