# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What earlier flights took, from their journals: on the host itself, or all that a controller has copies of. Reads only, and only the newest few."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document, read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _estimate, _stages

MOST = 12
# So many directories are looked into at most: what it costs must not grow with the years.
MOST_LOOKED = 60
JOURNAL_BYTES = 8 << 20
_HELD = re.compile(r"^held before (\S+) for (\d+) s")


def seconds_of(events):
    """{stage: seconds} of stages that ended well and were not interrupted; time in which they waited for a person is taken out. Pure."""
    held = {}
    for entry in events:
        found = _HELD.match(str(entry.get("text") or "")) if entry.get("event") == "note" else None
        if found:
            held[found.group(1)] = held.get(found.group(1), 0) + int(found.group(2))
    out = {}
    for entry in _flight.stages(events):
        if entry["result"] == "ok" and entry["attempts"] == 1 and entry["seconds"] is not None and entry["stage"] in _stages.STAGES:
            out[entry["stage"]] = max(0.0, entry["seconds"] - held.get(entry["stage"], 0))
    return out


def entry(flight, events, plan=None):
    """{flight, host, release_path, stages, work, measures} of one upgrade, or None when it tells nothing. Pure."""
    opening = _flight.opening(events)
    stages = seconds_of(events)
    if not opening or opening.get("kind") != "upgrade" or not stages:
        return None
    said = next((e for e in reversed(events) if e["event"] == "estimate"), {})
    return {
        "flight": flight,
        "host": opening.get("host", ""),
        "release_path": said.get("release_path") or (plan or {}).get("release_path") or "",
        "stages": stages,
        "work": said.get("work") or (_estimate.work(plan) if plan else {}),
        "measures": said.get("measures") or {},
    }


def entries(root, own=False, most=MOST, but=""):
    """Entries of the newest flights below a directory, newest first, each with own. but: a flight that is left out. What cannot be read tells nothing."""
    found, looked = [], []
    for name in os.listdir(root) if os.path.isdir(root) else []:
        if not _flight.ID.match(name) or "-upgrade-" not in name or name == but:
            continue
        try:
            looked.append((os.stat(os.path.join(root, name, _flight.JOURNAL)).st_mtime, name))
        except OSError:
            continue
    for _moment, name in sorted(looked, reverse=True)[:MOST_LOOKED]:
        if len(found) >= most:
            break
        directory = os.path.join(root, name)
        try:
            events, _torn = _flight.parse(read_if_exists(os.path.join(directory, _flight.JOURNAL), JOURNAL_BYTES) or b"")
            told = any(e["event"] == "estimate" for e in events)
            plan = None if told or not os.path.exists(os.path.join(directory, "plan.json")) else read_document(os.path.join(directory, "plan.json"))
            one = entry(name, events, plan)
        except (OSError, ValueError, KeyError, TypeError):
            continue
        if one:
            found.append(dict(one, own=own))
    return found
