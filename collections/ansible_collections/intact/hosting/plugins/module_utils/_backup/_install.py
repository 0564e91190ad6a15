# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The backup's program on a host: its place, its job, a service and a timer for each class."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _program
from ansible_collections.intact.hosting.plugins.module_utils._backup import _job, _main, _units
from ansible_collections.intact.hosting.plugins.module_utils._program import PACKAGE, UNITS

__all__ = ["PACKAGE", "UNITS"]
ENTRY = _main.__name__[len(PACKAGE) + 1 :]
PLACE = _program.Place(_units.PROGRAM, _main.JOB, r"intact-backup(?:@\.service|-[a-z]+\.timer)\Z", {_main.HOME: 0o700, "/var/cache/intact": 0o700})


def parts():
    """{name of a module: its source} of all that the program imports."""
    return _program.parts(ENTRY)


def files():
    """{relative path: text} of the program."""
    return _program.files(ENTRY)


class Installer(_program.Installer):
    """schedule: {class: {calendar, delay}}."""

    def __init__(self, job, schedule, root=""):
        _job.check(job)
        super().__init__(PLACE, ENTRY, _units.texts(schedule, job.get("limits"), job.get("metrics_file", "")), job, root)


def installed(root=""):
    """What of it is on the host: units, program, job."""
    return PLACE.installed(root)


def remove(root=""):
    """Take it away; state, manifests and secrets stay, and so do the repositories."""
    PLACE.remove(root)
