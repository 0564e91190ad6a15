# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""How far apt is, read from what it writes while it works."""

from __future__ import annotations


class Progress:
    """Packages done, told from apt's status lines (apt's README.progress-reporting): pmstatus:PACKAGE:PERCENT:TEXT. Pure."""

    def __init__(self, total):
        self.total = total
        self.finished = set()
        self.message = ""
        self.percent = 0.0
        # Bytes of the file that were fed, for who reads it as a whole.
        self.read = 0
        self._rest = ""

    @property
    def done(self):
        """How many packages are installed or removed."""
        return min(len(self.finished), self.total) if self.total else len(self.finished)

    def feed(self, text):
        """Take more of the file; a line that is not yet whole waits."""
        lines = (self._rest + text).split("\n")
        self._rest = lines.pop()
        for line in lines:
            parts = line.split(":", 3)
            if len(parts) == 4 and parts[0] in ("pmstatus", "dlstatus"):
                # A package with an architecture has one colon more.
                rest = parts[3].split(":", 1)[-1] if parts[2] and not parts[2].replace(".", "").isdigit() else parts[3]
                self.message = rest.strip()
                if parts[0] == "dlstatus" and parts[2].replace(".", "").isdigit():
                    self.percent = float(parts[2])
                if rest.startswith(("Installed ", "Removed ", "Completely removed ")):
                    self.finished.add(parts[1])
