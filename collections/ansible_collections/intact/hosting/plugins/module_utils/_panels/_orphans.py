# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What an import started and what outlived it: it would go on writing while everything is put back."""

from __future__ import annotations

import contextlib
import os
import signal
import time

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _processes, _server

PATIENCE = 60


def marked(token):
    """Processes whose environment says that they belong to an attempt. Not ours, and none that systemd started as a service of its own."""
    word, out = os.fsencode("%s=%s" % (_server.MARK, token)), []
    own = _processes.unit(os.getpid())
    for entry in os.listdir("/proc"):
        if not entry.isdigit() or int(entry) == os.getpid():
            continue
        try:
            with open("/proc/%s/environ" % entry, "rb") as handle:
                held = word in handle.read().split(b"\0")
        except OSError:
            continue
        if held and _processes.unit(int(entry)) in ("", own):
            out.append(int(entry))
    return out


def end(token, tell=lambda _line: None):
    """Kill them, and wait until they are gone."""
    deadline = time.monotonic() + PATIENCE
    for pid in marked(token):
        tell("process %d of the import outlived it and is ended" % pid)
    while True:
        left = marked(token)
        if not left:
            return
        if time.monotonic() > deadline:
            raise IntactError("process %d of the import can't be ended" % left[0])
        for pid in left:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        time.sleep(0.05)
