# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A bench for the stand-ins that are installed below a root and seen through a Stage."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import stand_in_fixture
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.panel_matrix import Bench
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_fixture import Stage, kit


def bench(folder, driver, panel):
    """A Bench for a driver and its stand-in."""
    root = str(folder / "host")
    os.makedirs(root)
    panel.install(root)
    stage = Stage(root)

    def switch(name, value="yes"):
        kit.switch(root, name, value)

    return Bench(driver, stage, folder / "host/var/lib/intact/panel", switch, tuple(panel.SECRETS.values()), started=lambda: stage.started)


def on(name, value="yes"):
    """A cell's `before`: one failure of the stand-in."""
    return lambda here: here.switch(name, value)


def root(here):
    """Where a bench's host lies."""
    return stand_in_fixture.kit_root(here.system)
