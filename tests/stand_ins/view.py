# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What drivers see of a stand-in's machine. Apart from machine.py, as the stand-ins' programs need none of the product."""

from __future__ import annotations

import os

from stand_ins import inside

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted

PATHS = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")


class View(Rooted):
    """As Rooted, and programs that lie below the root are run: this tree is a running machine.

    apart: stand-ins are processes of their own, as on a machine; without it they run in this one, which is many times quicker.
    """

    apart = False

    def which(self, program):
        names = [program] if program.startswith("/") else ["%s/%s" % (path, program) for path in PATHS]
        return next((name for name in names if os.access(self.place(name), os.X_OK)), None)

    def run(self, argv, timeout=120, stdin=b"", env=None, check=True):
        path = self.which(str(argv[0]))
        if path and not self.apart and inside.ours(self.place(path)):
            return inside.run(self.place(path), [os.fsdecode(word) for word in argv], stdin, env, check)
        # what is not below the root fails as on a machine without it
        return _command.run([self.place(path) if path else "/nonexistent" + str(argv[0]), *argv[1:]], timeout=timeout, stdin=stdin, env=env, check=check)
