# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Signals while a host is changed: the usual ways to end us lead back to the checkpoint, and on the way back nothing but a kill is heard."""

from __future__ import annotations

import contextlib
import signal

SIGNALS = (signal.SIGTERM, signal.SIGHUP, signal.SIGINT)


class Interrupted(Exception):
    """Somebody wants us to end."""


@contextlib.contextmanager
def interruptible():
    """Let the usual ways to end us lead back to the checkpoint."""

    heard = []

    def end(number, _frame):
        # a second one (systemd's TERM beside a lost connection's HUP) would break off the way back before it is deaf
        if not heard:
            heard.append(number)
            raise Interrupted("it was told to end (signal %d)" % number)

    before = {number: signal.signal(number, end) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


@contextlib.contextmanager
def deaf():
    """Nothing but a kill ends the way back."""
    before = {number: signal.signal(number, signal.SIG_IGN) for number in SIGNALS}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
