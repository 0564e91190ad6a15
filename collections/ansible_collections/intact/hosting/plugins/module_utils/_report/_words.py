# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""How numbers, times and names are said: pure."""

from __future__ import annotations

import datetime

STAGES = {
    "bind": "check the pre-flight result",
    "snapshot": "take a snapshot",
    "rescue-ssh": "open a second way in",
    "quiesce": "quieten the host",
    "patch-source": "finish the old release",
    "stage-sources": "prepare the new sources",
    "download": "download everything",
    "simulate": "simulate",
    "point-of-no-return": "point of no return",
    "database-stop": "stop the databases cleanly",
    "bootstrap": "package tools first",
    "carry": "carry configuration over",
    "minimal": "upgrade without removals",
    "full": "upgrade fully",
    "target-files": "install target configuration",
    "database-upgrade": "upgrade the databases",
    "commit-sources": "commit the sources",
    "residue": "list configuration residue",
    "autoremove": "remove what is left over",
    "reboot": "reboot",
    "unquiesce": "back to normal",
    "cleanup": "clean up",
}


def moment(text):
    """An aware datetime of one of our stamps, or None."""
    try:
        when = datetime.datetime.fromisoformat(str(text).replace("Z", "+00:00"))
    except ValueError:
        return None
    return when if when.tzinfo else when.replace(tzinfo=datetime.timezone.utc)


def clock(text):
    """11:34:05 of a stamp, UTC."""
    when = moment(text)
    return when.strftime("%H:%M:%S") if when else "?"


def day(text):
    """22 Nov 2026, 11:34 UTC of a stamp."""
    when = moment(text)
    return "%d %s UTC" % (when.day, when.strftime("%b %Y, %H:%M")) if when else "unknown"


def duration(seconds):
    """Seconds as a person says them: 0.4 s, 12 s, 2 min 05 s, 1 h 12 min."""
    if seconds is None:
        return "unknown"
    seconds = float(seconds)
    if 0 < seconds < 9.95:
        return ("%.1f" % seconds).replace(".0", "") + " s" if seconds >= 0.05 else "under 0.1 s"
    whole = int(round(seconds))
    if whole < 60:
        return "%d s" % whole
    if whole < 3600:
        return "%d min" % (whole // 60) + (" %02d s" % (whole % 60) if whole % 60 else "")
    whole = int(round(seconds / 60))
    return "%d h" % (whole // 60) + (" %02d min" % (whole % 60) if whole % 60 else "")


def size(count):
    """Bytes as a person says them."""
    value = float(count)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024 or unit == "GiB":
            return "%d %s" % (value, unit) if unit == "B" else "%.1f %s" % (value, unit)
        value /= 1024
    return ""


def number(value):
    """A number with thin groups, whatever it is given."""
    if isinstance(value, bool) or not isinstance(value, (int, float)):
        return str(value)
    return "{:,}".format(round(value, 2) if isinstance(value, float) else value).replace(",", "\u202f")


def count(amount, one, many=None):
    """1 finding, 2 findings."""
    return "%s %s" % (number(amount), one if amount == 1 else many or one + "s")


def listing(names, most=3):
    """a, b, c and 4 more."""
    names = [str(name) for name in names]
    if len(names) <= most + 1:
        return ", ".join(names[:-1]) + (" and " if len(names) > 1 else "") + "".join(names[-1:])
    return "%s and %d more" % (", ".join(names[:most]), len(names) - most)


def visible(text):
    """Text with nothing in it that could reorder, hide or break what a reader sees: such characters are spelled out."""
    out = []
    for char in str(text):
        code = ord(char)
        hidden = code < 0x20 and char not in "\n\t" or 0x7F <= code < 0xA0 or 0xD800 <= code <= 0xDFFF or 0xFDD0 <= code <= 0xFDEF
        hidden = hidden or code in (0x61C, 0xFEFF, 0xFFFE, 0xFFFF) or 0x200B <= code <= 0x200F or 0x2028 <= code <= 0x202E or 0x2060 <= code <= 0x2069
        if not hidden:
            out.append(char)
        elif 0xDC80 <= code <= 0xDCFF:
            out.append("\\x%02x" % (code - 0xDC00))
        else:
            out.append("\\x%02x" % code if code < 0x100 else "\\u%04x" % code)
    return "".join(out)


def value(thing, most=160):
    """One value of a comparison as short text."""
    if thing is None:
        return "nothing"
    if isinstance(thing, dict):
        text = ", ".join("%s %s" % (key, value(thing[key], 60)) for key in sorted(thing))
    elif isinstance(thing, (list, tuple)):
        text = ", ".join(value(part, 60) for part in thing)
    else:
        text = str(thing)
    return text if len(text) <= most else text[: most - 1] + "…"
