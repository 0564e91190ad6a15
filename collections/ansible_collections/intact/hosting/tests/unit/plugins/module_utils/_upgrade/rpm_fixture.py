# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Fixtures of rpm_lab: the repositories and one prepared room a manager, once a session."""

from __future__ import annotations

import os
import shutil

import pytest

from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._upgrade import rpm_lab


@pytest.fixture(scope="session")
def lab(tmp_path_factory):
    """The mirror over the lab's repositories; skips where rooms cannot be made."""
    why = rpm_lab.why_not()
    if why:
        pytest.skip("real RPM package managers: " + why)
    mirror = rpm_lab.Mirror(rpm_lab.build(tmp_path_factory.mktemp("rpm-lab")).top)
    yield mirror
    mirror.close()


@pytest.fixture(scope="session")
def bases(lab, tmp_path_factory):
    """base(manager) -> (tree, what a room with the old release wrote)."""
    made = {}

    def base(manager):
        if manager not in made:
            program = {"leapp": "dnf"}.get(manager, manager)
            tree = rpm_lab.DNF5 if manager == "dnf5" else "/"
            if not os.path.exists(os.path.join(tree, "usr/bin", program)):
                pytest.skip("real %s: needs %s in %s (see rpm_lab)" % (manager, program, tree))
            room = rpm_lab.Room(tmp_path_factory.mktemp("base-" + manager), tree, program)
            try:
                room.prepare(lab.url)
            finally:
                room.cut()
            made[manager] = (tree, room.upper)
        return made[manager]

    return base


@pytest.fixture
def rooms(lab, bases, tmp_path):
    """room(manager) -> a fresh room with the old release in it."""
    made = []

    def room(manager):
        lab.instead, lab.after = {}, None
        lab.asked.clear()
        tree, base = bases(manager)
        made.append(rpm_lab.Room(tmp_path / "room", tree, manager, base))
        return made[-1]

    yield room
    for one in made:
        one.cut()
        shutil.rmtree(one.top / "work", ignore_errors=True)
