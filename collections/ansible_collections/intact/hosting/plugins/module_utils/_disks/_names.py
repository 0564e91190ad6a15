# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Names and times as they stand in superblocks, made printable."""

from __future__ import annotations

import datetime

from ansible_collections.intact.hosting.plugins.module_utils._files import escape


def uuid(data):
    """A UUID's text of 16 bytes in the order in which they are written; "" of zeros."""
    text = data.hex()
    return "" if not any(data) else "-".join((text[:8], text[8:12], text[12:16], text[16:20], text[20:]))


def guid(data):
    """A UUID's text of 16 bytes in Microsoft's order, as GPT has them."""
    return uuid(data[3::-1] + data[5:3:-1] + data[7:5:-1] + data[8:])


def label(data):
    """Printable text of a name that a zero byte ends."""
    return escape(data.split(b"\0", 1)[0])


def moment(seconds):
    """ISO 8601 in UTC of seconds since 1970, "" of 0 and of what is no time."""
    if not seconds or seconds < 0:
        return ""
    try:
        return datetime.datetime.fromtimestamp(seconds, datetime.timezone.utc).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return ""
