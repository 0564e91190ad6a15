# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The observer's program lies in its role; its files import each other by plain names, as they do where it is installed."""

from __future__ import annotations

import sys
from pathlib import Path

PROGRAM = Path(__file__).resolve().parents[2] / "roles" / "outage_probe" / "files" / "outage_probe"
sys.path.insert(0, str(PROGRAM))
