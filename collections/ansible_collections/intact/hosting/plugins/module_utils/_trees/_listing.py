# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which entries a directory has and in what order they are read: what copy and manifest share. The class that inherits has told, rules, ahead, progress,
unreadable."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._trees import _ahead, _kernel


class Listing:
    """Lists and orders."""

    def _list(self, folder):
        """(directories, files in the order of their inodes, others), all bytes, without what the rules leave out."""
        below, files, others = [], [], []
        rules = self.rules
        encode = os.fsencode
        try:
            with os.scandir(folder.source) as entries:
                for entry in entries:
                    name = encode(entry.name)
                    if rules.some and rules.excluded(folder.prefix + name):
                        self.told.add("excluded", folder.prefix + name, "by a rule")
                    elif entry.is_file(follow_symlinks=False):
                        files.append((entry.inode(), name))
                    elif entry.is_dir(follow_symlinks=False):
                        below.append(name)
                    else:
                        others.append(name)
        except OSError as exc:
            self.unreadable(folder.path, exc)
        below.sort()
        files.sort()
        others.sort()
        names = [name for _inode, name in files]
        if self.ahead.spinning and len(names) > 1:
            names = self._by_block(folder.source, names)
        return below, names, others

    def _ordered(self, folder, names):
        """The names one by one, the next ones asked for ahead while the disk is what takes the time."""
        ahead, wanted = self.ahead, 0
        for position, name in enumerate(names):
            if not position % 16:
                self.progress.tick()
                ahead.judge()
                if ahead.waiting:
                    wanted = max(wanted, position + 1)
                    ahead.want(folder.source, names[wanted : position + _ahead.WINDOW])
                    wanted = max(wanted, position + _ahead.WINDOW)
            yield name
        ahead.drop()

    @staticmethod
    def _by_block(parent, names):
        """The same names in the order of where their data begins."""
        placed = []
        for number, name in enumerate(names):
            try:
                fd = os.open(name, _kernel.FILE, dir_fd=parent)
            except OSError:
                placed.append((0, number, name))
                continue
            try:
                placed.append((_kernel.first_block(fd), number, name))
            finally:
                os.close(fd)
        placed.sort()
        return [name for _block, _number, name in placed]
