# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A line per step of the lab, with its seconds."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager

from steps import say


@contextmanager
def progress(label: str) -> Iterator[None]:
    start = time.monotonic()
    yield
    say(f"==> lab: {label} ({time.monotonic() - start:.0f} s)")
