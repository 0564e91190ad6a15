# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The view by which a driver sees and runs a host of stand-ins below a directory.

Stage(root) is a System whose files lie below root and whose programs are those below root, run as real processes. Each argv is remembered in `started`,
as anybody could have read it with ps.
"""

from __future__ import annotations

import os

from stand_ins.view import View

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError


class Stage(View):
    """A host below root whose programs run. started: every argv; said: what each printed."""

    def __init__(self, root, options=None):
        super().__init__(str(root), options)
        self.started, self.said = [], []

    def run(self, argv, timeout=120, stdin=b"", env=None, check=True):
        argv = [os.fsdecode(word) for word in argv]
        self.started.append(argv)
        if not self.which(argv[0]):
            raise IntactError("%s is not installed on this host" % argv[0], program=argv[0])
        result = super().run(argv, timeout, stdin, env, check)
        self.said.append(result.text + result.error)
        assert "Traceback (most recent call last)" not in result.error, result.error  # a stand-in's own fault is no damage
        return result

    def read(self, path, limit=None):
        # this host's own /proc, as its stand-ins wrote it
        return super().read("/.proc/" + path[len("/proc/") :] if path.startswith("/proc/") else path, limit)

    def listdir(self, path):
        return super().listdir("/.proc" + path[len("/proc") :] if path == "/proc" or path.startswith("/proc/") else path)
