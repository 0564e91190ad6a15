# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The directory of restores: one at a time, which of them were cut, and which checkpoints may go."""

from __future__ import annotations

import fcntl
import os
import shutil

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._backup import _metadata
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _standing

RESTORES = "/var/lib/intact/panel/restores"


class Held:
    """One restore at a time on a host: whoever holds it alone may look for restores that were cut."""

    def __init__(self, root):
        private(root)
        self._fd = os.open(os.path.join(root, "lock"), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as exc:
            os.close(self._fd)
            raise IntactError("another restore of a panel is under way on this host: wait for it, or end it; then run this again") from exc

    def __enter__(self):
        return self

    def __exit__(self, *_exc):
        os.close(self._fd)


def cut(root=RESTORES):
    """[(id, standing)] of restores that did not come to an end."""
    out = []
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        if not _flight.ID.match(name) or not os.path.isdir(os.path.join(root, name)):
            continue
        at = _standing.standing(_flight.read(name, root)[0])
        if at["state"] in ("looking", "changing"):
            out.append((name, at))
    return out


def standings(panel, roots):
    """{(root, id): standing} of a panel's restores: when two looks differ, one of them changed the panel in between."""
    out = {}
    for root in sorted(set(roots)):
        for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
            if _flight.ID.match(name) and os.path.isdir(os.path.join(root, name)):
                at = _standing.standing(_flight.read(name, root)[0])
                if at["panel"] == panel:
                    out[root, name] = at
    return out


def under_way(root):
    """Whether a restore works now; nothing is made for the look."""
    try:
        with open(os.path.join(root, "lock"), "rb") as handle:
            fcntl.flock(handle, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except FileNotFoundError:
        pass
    return False


def prune(root, keep):
    """Remove the checkpoints of all but the newest `keep` attempts that came to an end; journals stay."""
    places = []
    for name in os.listdir(root) if os.path.isdir(root) else []:
        folder = os.path.join(root, name)
        if not os.path.isdir(folder) or _standing.standing(_flight.read(name, root)[0])["state"] != "closed":
            continue
        places += [os.path.join(folder, entry) for entry in os.listdir(folder) if entry.startswith("attempt-")]
    for place in sorted(places, key=os.path.getmtime, reverse=True)[keep:]:
        clear(place)


def private(path):
    """Make a directory that only its owner may look into, and those above it that are missing as well."""
    if not os.path.isdir(path):
        private(os.path.dirname(path))
        os.mkdir(path, 0o700)


def clear(place):
    """Remove an attempt's directory, flags or not."""
    if os.path.isdir(place):
        _metadata.free(place)
        shutil.rmtree(place)
