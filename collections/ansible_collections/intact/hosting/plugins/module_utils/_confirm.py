# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Who must say yes before which step, and what counts as a yes. Pure, but for the one look at a file."""

from __future__ import annotations

import os
import stat

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

GATE = "gate"
HOWS = ("prompt", "file", "approval")
PLACES = ("controller", "host")
MINUTES = 60
# What is a refusal wherever a name is expected.
NO = ("no", "n", "stop", "nein")
# Clocks of two machines may differ by so much.
SKEW = 300
LIMIT = 400


def check(entries, stages):
    """The confirmations with every key, in the order in which they come up; IntactError names what is wrong with the first that is none.

    entry: {before: a stage or gate, who, how: prompt | file | approval, path, place: controller | host, minutes}.
    """
    out, order = [], (GATE, *stages)
    for entry in entries or []:
        if not isinstance(entry, dict):
            raise IntactError("distro_upgrade_confirm: %r is no confirmation: write {before, who, how}" % (entry,))
        unknown = sorted(set(entry) - {"before", "who", "how", "path", "place", "minutes"})
        if unknown:
            raise IntactError("distro_upgrade_confirm: no such key: %s" % ", ".join(unknown))
        before, who, how = (str(entry.get(key) or "").strip() for key in ("before", "who", "how"))
        if before not in order:
            raise IntactError("distro_upgrade_confirm: no such stage: %r. There are: %s" % (before, ", ".join(order)))
        if not who:
            raise IntactError("distro_upgrade_confirm: the confirmation before %s names nobody (who)" % before)
        if how not in HOWS:
            raise IntactError("distro_upgrade_confirm: how %s confirms before %s is %r: prompt, file or approval" % (who, before, how))
        path, place = str(entry.get("path") or ""), str(entry.get("place") or PLACES[0])
        if how == "file" and not os.path.isabs(path):
            raise IntactError("distro_upgrade_confirm: the file in which %s confirms before %s needs an absolute path" % (who, before))
        if place not in PLACES:
            raise IntactError("distro_upgrade_confirm: the file of %s is on %r: controller or host" % (who, place))
        try:
            minutes = float(entry.get("minutes") or MINUTES)
        except (TypeError, ValueError):
            raise IntactError("distro_upgrade_confirm: minutes of %s before %s is %r: a number" % (who, before, entry["minutes"])) from None
        if minutes <= 0:
            raise IntactError("distro_upgrade_confirm: minutes of %s before %s must be more than 0" % (who, before))
        out.append({"before": before, "who": who, "how": how, "path": path, "place": place, "minutes": minutes})
    seen = set()
    for entry in out:
        key = (entry["before"], entry["who"])
        if key in seen:
            raise IntactError("distro_upgrade_confirm: %s is asked twice before %s" % (entry["who"], entry["before"]))
        seen.add(key)
    return sorted(out, key=lambda entry: order.index(entry["before"]))


def missing(entries, events):
    """Those that nobody has answered in this flight, and of several releases for this one. events: its journal."""
    answered = {(entry.get("before"), entry.get("who")) for entry in of_this_hop(events) if entry.get("event") == "confirmation"}
    return [entry for entry in entries if (entry["before"], entry["who"]) not in answered]


def of_this_hop(events):
    """The events since the last release that the flight began with, that one's included. Pure."""
    starts = [number for number, entry in enumerate(events) if entry.get("event") == "flight.hop"]
    return events[starts[-1] :] if starts else events


def stages(entries):
    """Stages before which the host waits for one of these, each once."""
    return list(dict.fromkeys(entry["before"] for entry in entries if entry["before"] != GATE))


def said(entry):
    """Who is asked, and how, in a sentence's part."""
    how = {
        "prompt": "is asked at the terminal (for up to %g minutes)" % entry["minutes"],
        "file": "writes a name into %s on the %s (within %g minutes)" % (entry["path"], entry["place"], entry["minutes"]),
        "approval": "approves (intact_approved_before: %s, intact_approved_by: the name)" % entry["before"],
    }[entry["how"]]
    return "before %s %s %s" % ("take-off" if entry["before"] == GATE else "stage " + entry["before"], entry["who"], how)


def name(text, entry):
    """The name in an answer, "" while there is none; IntactError when it is a no."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    first = "".join(char for char in (lines or [""])[0] if char.isprintable())[:120]
    if first.lower().rstrip(".!") in NO:
        raise IntactError("%s said no before %s" % (entry["who"], entry["before"]))
    return first if len(first) > 1 else ""


def file_problem(entry, opened, mode, uid, modified, directory_mode, directory_uid):
    """Why a file may not count, "" when it may. opened, modified: seconds since 1970; modes and owners as stat(2) has them."""
    if not stat.S_ISREG(mode):
        return "%s is no plain file" % entry["path"]
    if mode & 0o022:
        return "%s can be written by others than its owner" % entry["path"]
    if entry["place"] == "host" and (uid != 0 or directory_uid != 0 or directory_mode & 0o022):
        return "%s and its directory must be root's, or anybody on the host could confirm" % entry["path"]
    if entry["place"] != "host" and directory_mode & 0o002 and not directory_mode & stat.S_ISVTX:
        return "everybody can put files where %s is" % entry["path"]
    if modified < opened - SKEW:
        return "%s is older than this flight: it confirmed an earlier one" % entry["path"]
    return ""


def look(entry, opened):
    """(text, problem) of the file here; text is None while it is not there. Never follows a link in its last part."""
    path = entry["path"]
    try:
        fd = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None, ""
    except OSError as exc:
        return None, "%s cannot be read: %s" % (path, exc.strerror)
    try:
        status, above = os.fstat(fd), os.stat(os.path.dirname(path))
        problem = file_problem(entry, opened, status.st_mode, status.st_uid, status.st_mtime, above.st_mode, above.st_uid)
        return ("" if problem else os.read(fd, LIMIT).decode("utf-8", "replace")), problem
    finally:
        os.close(fd)


# stat and head only: the host's Python may be between two versions. %s: the quoted path, its quoted directory, the quoted path.
COMMAND = "stat -c '%%f %%u %%Y' -- %s && stat -Lc '%%f %%u' -- %s && head -c " + str(LIMIT) + " -- %s"


def told(entry, opened, text):
    """(text, problem) from what COMMAND printed on the host; text is None when it is not there."""
    lines = text.replace("\r\n", "\n").split("\n", 2)
    try:
        mode, uid, modified = lines[0].split()
        above, owner = lines[1].split()
        problem = file_problem(entry, opened, int(mode, 16), int(uid), int(modified), int(above, 16), int(owner))
    except (ValueError, IndexError):
        return None, ""
    return ("" if problem else (lines + ["", "", ""])[2]), problem


def approved(entry, before, by):
    """The name under which an approval for this step was given, "" when there is none. before: steps, by comma or blank, or a list."""
    steps = before if isinstance(before, (list, tuple)) else str(before or "").replace(",", " ").split()
    return str(by or "").strip()[:120] if entry["before"] in [str(step).strip() for step in steps] else ""
