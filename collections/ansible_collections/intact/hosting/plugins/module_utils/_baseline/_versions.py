# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Order of Debian package versions (deb-version(7)), without a process per comparison."""

from __future__ import annotations

import re

_PARTS = re.compile(r"(\d+)")


def _weight(char):
    # a tilde sorts before the end of the string, letters before everything else
    return -1 if char == "~" else ord(char) if char.isalpha() else ord(char) + 256


def _key(text):
    """A list that orders like the text: non-digit runs by weight (0 ends a run), digit runs by value."""
    out = []
    for index, part in enumerate(_PARTS.split(text)):
        out.append(int(part or 0) if index % 2 else tuple(_weight(c) for c in part) + (0,))
    return out


def sort_key(version):
    """Key for sorting versions and for comparing two of them: (epoch, upstream, revision)."""
    epoch, colon, rest = version.partition(":")
    if not colon:
        epoch, rest = "0", version
    upstream, dash, revision = rest.rpartition("-")
    if not dash:
        upstream, revision = rest, ""
    return (int(epoch) if epoch.isdigit() else 0, _padded(upstream), _padded(revision or "0"))


def _padded(text):
    # "1.0" and "1.0." must compare as runs: an absent run is an empty one
    key = _key(text)
    return tuple(key + [0, (0,)] if len(key) % 2 else key + [(0,)])
