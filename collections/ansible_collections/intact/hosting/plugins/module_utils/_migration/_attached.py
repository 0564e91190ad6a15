# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is what is mounted at the root the disk of the token, read-only: asked before every phase, of the kernel and of what legacy_volume wrote down."""

from __future__ import annotations

import json
import os

from ansible_collections.intact.hosting.plugins.module_utils._baseline._mounttable import mounted
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

OVERLAYS = "/var/lib/intact/overlays"
STATE = "state.json"


def states(system, directory=OVERLAYS):
    """The states of all attachments, [{device, token, root, mounts ..., file}]; one that can't be read is left out."""
    out = []
    for path in system.glob(os.path.join(directory, "*", STATE)):
        try:
            state = json.loads(system.read(path) or b"")
        except ValueError:
            continue
        if isinstance(state, dict):
            out.append(dict(state, file=path))
    return out


def check(system, root, token, directory=OVERLAYS):
    """The state of the attachment. Raises IntactError when the root is not mounted, can be written, or is another disk's than the token says."""
    root = root.rstrip("/") or "/"
    entry = next((m for m in mounted(system) if m["target"] == escape(root)), None)
    if root == "/" or entry is None:
        raise IntactError("no disk is mounted at %s: attach it with legacy_volume (role legacy_disk), state present" % root)
    if "ro" not in entry["options"]:
        raise IntactError("%s is mounted so that it can be written (%s): detach it and attach it with legacy_volume" % (root, entry["source"]))
    known = states(system, directory)
    here = [s for s in known if str(s.get("root") or s.get("path") or "").rstrip("/") == root]
    if not here:
        raise IntactError(
            "%s is mounted, but not by legacy_volume: %s knows of %s; attach the disk with it, so that it is told which one it is"
            % (root, directory, ", ".join(sorted(str(s.get("root") or s.get("path")) for s in known)) or "nothing")
        )
    state = next((s for s in here if s.get("token") == token), None)
    if state is None:
        seen = ", ".join(sorted({str(s.get("token")) for s in here}))
        raise IntactError(
            "the disk at %s is %s, and the token asks for %s: this is another disk, nothing was done" % (root, seen, token), expected=token, seen=seen
        )
    if state.get("status", "attached") != "attached":
        raise IntactError("the disk at %s is half attached (%s): run legacy_volume again, state present" % (root, state["status"]))
    sources = {m.get("source") for m in state.get("mounts") or [] if str(m.get("target", "")).rstrip("/") == root} - {None}
    if sources and not any(_same(system, source, entry) for source in sources):
        raise IntactError(
            "%s is mounted from %s, and legacy_volume had put %s there: detach it and attach it again" % (root, entry["source"], ", ".join(sorted(sources)))
        )
    return state


def _same(system, source, entry):
    """Whether a mount comes from a device or file, by name or, where names differ, by number."""
    if escape(source) == entry["source"] or system.realpath(source) == system.realpath(entry["source"]):
        return True
    try:
        number = os.stat(source).st_rdev
    except OSError:
        return False
    return number != 0 and "%d:%d" % (os.major(number), os.minor(number)) == entry["device"]
