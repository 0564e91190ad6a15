# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a cold MySQL or MariaDB runs on: a copy of the disk's data directory, or an overlay over it, that nobody has opened yet."""

from __future__ import annotations

import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._cold import _mysql_options, _private_root
from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# a copy is read once, which a dying disk likes better; beyond this an overlay is
LARGEST_COPY = 20 << 30
SPARE = 1.2
LINKS = 4


class Copies:
    """A part of _mysql.Cold."""

    def _drop_logs(self, data, places, more):
        """Away with InnoDB's logs, of this copy: what only they held is lost."""
        if more:
            raise IntactError("ib_logfile* are removed on a copy only: give how=copy")
        for place in {data, *places.values()}:
            for name in os.listdir(place):
                if name.startswith("ib_logfile"):
                    os.unlink(os.path.join(place, name))
                    self.said.append("%s was removed on the copy, as it was asked for: what only it held is lost" % name)

    def _fresh(self):
        """(data directory, places, what _spawn() wants besides) of a copy or an overlay that nobody has opened yet."""
        self._wipe()
        needed = sum(_mysql_options.size(path) for path in [self._source] + [self._view.place(place) for place in self._found["places"].values()])
        state = os.statvfs(self.directory)
        free = state.f_bavail * state.f_frsize
        roomy = needed * SPARE < free and needed < LARGEST_COPY
        if self._how == "copy" and not roomy and needed * SPARE >= free:
            raise IntactError("%s has room for %d MB, and the disk's database takes %d MB" % (self.directory, free >> 20, needed >> 20), space=True)
        overlaid = self._how == "overlay" or (self._how == "auto" and not roomy)
        places = {}
        for number, (name, place) in enumerate(sorted(self._found["places"].items())):
            places[name] = os.path.join(self.directory, "place-%d" % number)
            self._copy(place, places[name])
        if not overlaid:
            data = os.path.join(self.directory, "data")
            self._tell("copying %d MB of %s" % (needed >> 20, self._found["datadir"]))
            self._copy(self._found["datadir"], data)
            return data, places, {}
        linked = [name for name in os.listdir(self._source) if os.path.islink(os.path.join(self._source, name))]
        if linked:
            raise IntactError("%s has links (%s), which would lead to this host: open it on a copy" % (self._found["datadir"], ", ".join(sorted(linked)[:3])))
        overlay = _private_root.Overlay(self._source, self._directory("overlay"))
        os.chmod(os.path.dirname(overlay.upper), 0o711)
        self._tell("looking through an overlay at %s" % self._found["datadir"])
        enter = _private_root.enter(overlay, owner=(self._user.pw_uid, self._user.pw_gid), places=[""])
        return overlay.merged, places, {"preexec_fn": enter}

    def _copy(self, place, target):
        """A directory of the disk, with what its links lead to on the disk, as the server's own."""
        done = run(["cp", "-a", "--reflink=auto", "--no-target-directory", "--", self._view.place(place), target], timeout=86400, check=False)
        unread = [line.split(": ", 1)[-1] for line in done.error.splitlines() if line]
        if not os.path.isdir(target) or "No space left" in done.error:
            raise IntactError("%s could not be copied: %s" % (place, unread[0] if unread else "status %d" % done.rc), space="No space left" in done.error)
        self.said += ["could not be read from the disk: %s" % line for line in unread[:20]]
        for _time in range(LINKS):
            if not self._unlink(place, target):
                break
        for folder, folders, names, at in os.fwalk(target):
            for name in names:
                if not stat.S_ISREG(os.stat(name, dir_fd=at, follow_symlinks=False).st_mode) or (folder == target and name.endswith((".pid", ".sock"))):
                    os.unlink(name, dir_fd=at)
            for name in [".", *folders, *[n for n in os.listdir(at) if n not in folders]]:
                os.chown(name, self._user.pw_uid, self._user.pw_gid, dir_fd=at, follow_symlinks=False)
            os.chmod(at, 0o700)

    def _unlink(self, place, target):
        """Put what links lead to in their place; how many there were. A link into nothing stays, and is removed."""
        found = [
            os.path.join(folder, name) for folder, folders, names in os.walk(target) for name in folders + names if os.path.islink(os.path.join(folder, name))
        ]
        for path in found:
            inside = os.path.join(place, os.path.relpath(path, target))
            real = self._view.place(inside)
            os.unlink(path)
            if os.path.exists(real) and not self._source.startswith(real.rstrip("/") + "/"):
                run(["cp", "-a", "--reflink=auto", "--no-target-directory", "--", real, path], timeout=86400)
            else:
                self.said.append("%s is a link that leads nowhere on the disk" % inside)
        return len(found)
