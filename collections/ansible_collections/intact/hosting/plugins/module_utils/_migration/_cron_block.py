# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Blocks of imported, disabled lines in crontabs: made, found again, and read back. Pure.

A block is told by its first line, so that an import that runs again finds what is there, enabled or not, and leaves it.
"""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape

OFF = b"#intact# "
ENABLE = "crontab -u %s -l | sed 's/^#intact# //' | crontab -u %s -"
BEGIN, END, RULER = "# intact-migration begin %s %s %s", "# intact-migration end %s %s %s", b"# the lines as they were:"
_ASSIGNMENT = re.compile(rb"^[ \t]*(\"[^\"]+\"|'[^']+'|[A-Za-z_][A-Za-z0-9_]*)[ \t]*=")
# what cron sets by itself; other names are emptied, as cron can't unset
DEFAULTS = {b"SHELL": b"/bin/sh", b"PATH": b"/usr/bin:/bin"}


def mark(form, ident, tab):
    """A block's first or last line."""
    return (form % (escape(ident), escape(tab["user"]), escape(tab["source"]))).encode("utf-8")


def names(lines):
    """Names that lines assign, disabled ones too, in order."""
    found = [_ASSIGNMENT.match(bare(line)) for line in lines]
    return list(dict.fromkeys(match.group(1).strip(b"\"'") for match in found if match))


def bare(line):
    """A line without the mark that disables it."""
    return line[len(OFF) :] if line.startswith(OFF) else line


def block(ident, tab, user, before):
    """Lines of a block. user: whose crontab it goes into. before: lines above it, whose settings must not reach into it when it is enabled."""
    mine = names(tab["lines"])
    out = [mark(BEGIN, ident, tab), ("# imported and disabled; enable all of it: " + ENABLE % (escape(user), escape(user))).encode("utf-8")]
    for name in names(before):
        if name not in mine:
            value = user.encode("utf-8", "surrogateescape") if name == b"MAILTO" else DEFAULTS.get(name, b'""')
            out.append(OFF + name + b"=" + value)
    out.append(RULER)
    out += [OFF + line for line in _trimmed(tab["lines"])]
    return [*out, mark(END, ident, tab)]


def _trimmed(lines):
    """Lines without a NUL, which no crontab can hold, and without empty ones at the end."""
    out = [line for line in lines if b"\0" not in line]
    while out and not out[-1].strip():
        out.pop()
    return out


def merged(live, ident, tabs, user):
    """(bytes of the crontab, tabs that were added): live with a block for each tab that has none yet; what is there stays byte for byte."""
    lines = live.split(b"\n")
    added = [tab for tab in tabs if mark(BEGIN, ident, tab) not in lines]
    if not added:
        return live, []
    if lines[-1] == b"":
        lines.pop()
    for tab in added:
        lines += block(ident, tab, user, lines)
    return b"\n".join(lines) + b"\n", added


def enabled(text):
    """A crontab as it is when all that was imported is enabled, for a syntax check."""
    return b"\n".join(bare(line) for line in text.split(b"\n"))


def blocks(text, ident):
    """[(old user, source, text)] of a migration's blocks in a crontab, enabled or not; user and source escaped. Text: the old lines, as str."""
    out, current, begun = [], None, False
    first, last = (form.split("%s", 1)[0] + escape(ident) + " " for form in (BEGIN, END))
    for raw in text.split(b"\n"):
        line = raw.decode("utf-8", "surrogateescape")
        if line.startswith(first):
            user, _blank, source = line[len(first) :].partition(" ")
            current, begun = (user, source, []), False
        elif current and line.startswith(last):
            out.append((current[0], current[1], "\n".join(current[2])))
            current = None
        elif current and raw == RULER:
            begun = True
        elif current and begun:
            current[2].append(bare(raw).decode("utf-8", "surrogateescape"))
    return out
