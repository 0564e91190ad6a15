# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Output recorded on real hosts (see fixtures/), and helpers to compare what probes make of it."""

from __future__ import annotations

import copy
import os

FIXTURES = os.path.join(os.path.dirname(os.path.abspath(__file__)), "fixtures")
HOSTS = ("bullseye", "web1-bookworm", "trixie")


def recorded(host, name):
    """A recorded file as text."""
    with open(os.path.join(FIXTURES, host, name), encoding="utf-8") as handle:
        return handle.read()


def changed(data, *steps):
    """A copy of a section's data in which each step (a function on the items) was done."""
    out = copy.deepcopy(data)
    for step in steps:
        step(out["items"])
    return out


def told(findings):
    """[(id, severity, subject)] of findings."""
    return [(f.id, f.severity, f.subject) for f in findings]
