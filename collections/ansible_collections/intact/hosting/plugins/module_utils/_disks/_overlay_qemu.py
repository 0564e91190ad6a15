# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Overlay without device-mapper: qemu-storage-daemon shows a qcow2 file over the disk as a file through FUSE."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess

from ansible_collections.intact.hosting.plugins.module_utils._command import run, which
from ansible_collections.intact.hosting.plugins.module_utils._disks import _block
from ansible_collections.intact.hosting.plugins.module_utils._disks._overlay import Overlay, fuse, touch
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NEAR = 256 << 10  # a qcow2 grows by clusters of 64 KiB and their tables


class StorageDaemon(Overlay):
    """The qcow2 file can't grow beyond the limit: the kernel's limit on the daemon's files (RLIMIT_FSIZE) turns the write into an error."""

    name = "qemu-storage-daemon"

    def lacks(self):
        missing = [name for name in ("qemu-storage-daemon", "qemu-img") if not which(name)]
        return ("%s not installed" % ", ".join(missing)) if missing else fuse()

    def start(self, device, limit):
        image = self.file("overlay.qcow2")
        run(["qemu-img", "create", "-q", "-f", "qcow2", image, str(_block.size(device))])
        os.chmod(image, 0o600)
        touch(self.state.view)
        # The disk is read past the page cache: what is gone must not seem to be there.
        disk = {
            "driver": "file" if _block.is_file(device) else "host_device",
            "filename": os.path.realpath(device),
            "node-name": "disk",
            "read-only": True,
            "locking": "off",
        }
        disk["cache"] = {"direct": True}
        argv = [
            "qemu-storage-daemon",
            "--daemonize",
            "--pidfile",
            self.file("overlay.pid"),
            "--blockdev",
            json.dumps(disk),
            "--blockdev",
            json.dumps({"driver": "file", "filename": image, "node-name": "file"}),
            "--blockdev",
            json.dumps({"driver": "qcow2", "file": "file", "backing": "disk", "node-name": "overlay"}),
            "--export",
            json.dumps(
                {"type": "fuse", "id": "view", "node-name": "overlay", "mountpoint": self.state.view, "writable": True, "growable": False, "allow-other": "off"}
            ),
        ]
        argv[0] = which(argv[0])

        def bounded():
            signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
            resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))

        log = self.file("overlay.log")
        with open(log, "wb") as said:
            done = subprocess.run(  # pylint: disable=subprocess-popen-preexec-fn
                argv, stdin=subprocess.DEVNULL, stdout=said, stderr=said, preexec_fn=bounded, start_new_session=True, timeout=120, check=False
            )
        if done.returncode:
            with open(log, "rb") as handle:
                words = handle.read()[-500:].decode("utf-8", "backslashreplace").strip()
            raise IntactError("qemu-storage-daemon can't show %s: %s" % (device, words or "status %d" % done.returncode), device=device)

    def full(self):
        image = self.file("overlay.qcow2")
        limit = self.state.document.get("overlay_size") or 0
        place = os.statvfs(self.state.directory)
        return os.stat(image).st_size + NEAR > limit or place.f_bavail * place.f_frsize < NEAR
