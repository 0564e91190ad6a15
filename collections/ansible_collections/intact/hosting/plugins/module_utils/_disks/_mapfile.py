# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The map that GNU ddrescue keeps of a rescue (ddrescue manual, "Mapfile structure"): what was read, what could not be."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

DONE, BAD, STATUSES = "+", "-", "?*/-+"


def parse(text, path="the mapfile"):
    """[(offset, size, status)] in bytes, in order, without gaps; an IntactError for a map that is torn or no map."""
    rows = [line.split() for line in text.splitlines() if line.strip() and not line.startswith("#")]
    try:
        int(rows[0][0], 0)
        areas = [(int(at, 0), int(size, 0), status) for at, size, status in rows[1:]]
    except (IndexError, ValueError) as exc:
        raise IntactError("%s is no whole map of ddrescue (%s)" % (path, exc), path=path) from exc
    end = 0
    for at, size, status in areas:
        if at != end or size <= 0 or status not in STATUSES:
            raise IntactError("%s is no whole map of ddrescue: an area at byte %d follows byte %d" % (path, at, end), path=path)
        end = at + size
    if not areas:
        raise IntactError("%s is no whole map of ddrescue: it has no areas" % path, path=path)
    return areas


def missing(areas, size, statuses="?*/-"):
    """[(offset, size)] of areas with one of the statuses, neighbours in one; what the map does not reach was not tried."""
    end = areas[-1][0] + areas[-1][1] if areas else 0
    out = []
    for at, length, status in list(areas) + ([(end, size - end, "?")] if end < size else []):
        if status not in statuses:
            continue
        if out and sum(out[-1]) == at:
            out[-1] = (out[-1][0], out[-1][1] + length)
        else:
            out.append((at, length))
    return out


def total(ranges):
    """Bytes of ranges."""
    return sum(size for _at, size in ranges)
