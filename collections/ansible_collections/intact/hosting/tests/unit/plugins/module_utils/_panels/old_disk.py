# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A disk of an old server: its /, with a database whose server was killed in the middle of its work; and proofs that nothing on it changed."""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import subprocess

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._command import which

DATA = "/var/lib/mysql"


class OldDisk:
    """root: where it is mounted. read-only, when a test has it so with locked()."""

    def __init__(self, root):
        self.root = root
        self._locked = False
        os.makedirs(root + "/etc")

    @property
    def view(self):
        return Rooted(self.root)

    def write(self, path, text):
        place = self.root + path
        os.makedirs(os.path.dirname(place), exist_ok=True)
        with open(place, "w") as handle:
            handle.write(text)

    def take(self, server, data=DATA):
        """The data directory of a killed server becomes the disk's."""
        server.end()
        os.makedirs(os.path.dirname(self.root + data), exist_ok=True)
        subprocess.run(["cp", "-a", server.data, self.root + data], check=True)

    def take_copy(self, server, data=DATA):
        """The data directory of a server that was killed for a moment."""
        self.take(server, data)
        server.start()

    def state(self):
        """A digest of every name, byte and attribute on it, access times left out."""
        digest = hashlib.sha256()
        for folder, folders, names in os.walk(self.root):
            folders.sort()
            for name in sorted(folders + names):
                path = os.path.join(folder, name)
                state = os.lstat(path)
                said = (os.path.relpath(path, self.root), state.st_mode, state.st_uid, state.st_gid, state.st_size, state.st_mtime_ns, state.st_ctime_ns)
                digest.update(repr(said).encode())
                if os.path.isfile(path) and not os.path.islink(path):
                    with open(path, "rb") as handle:
                        digest.update(hashlib.sha256(handle.read()).digest())
        return digest.hexdigest()

    def lock(self):
        """Mount it read-only over itself, as an old disk is."""
        subprocess.run(["mount", "--bind", self.root, self.root], check=True)
        subprocess.run(["mount", "-o", "remount,bind,ro", self.root], check=True)
        self._locked = True

    def unlock(self):
        if self._locked:
            subprocess.run(["umount", self.root], check=True)
            self._locked = False

    def install_server(self):
        """A server of its own, with what it needs to run with the disk as its /."""
        program = os.path.realpath(which("mariadbd"))
        told = subprocess.run(["ldd", program], check=True, capture_output=True).stdout.decode()
        for path in [program, *re.findall(r"(/\S+) \(0x", told)]:
            place = self.root + ("/usr/sbin/mysqld" if path == program else path)
            os.makedirs(os.path.dirname(place), exist_ok=True)
            shutil.copy(os.path.realpath(path), place)
        # messages and character sets
        shutil.copytree("/usr/share/mysql", self.root + "/usr/share/mysql", ignore=shutil.ignore_patterns("*.sql"))
        os.makedirs(self.root + "/tmp", exist_ok=True)
