# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The watch after the work, from a flight's journal: until when, how often was looked, what was wrong. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._report._markup import tag
from ansible_collections.intact.hosting.plugins.module_utils._report._words import clock, count, day, duration, listing


def build(events, ended):
    """{open, begun, until, hours, sections, looks, note, alarms: [{id, subject, title, raised, cleared or ""}]}, None when there was no watch.

    ended: stamp of the last thing known, which an alarm that was never cleared is counted to.
    """
    found = [entry for entry in events if entry["event"] == "watch"]
    begin = next((entry for entry in found if entry.get("state") == "begin"), None)
    if not begin:
        return None
    end = next((entry for entry in reversed(found) if entry.get("state") == "end"), None)
    alarms, standing = [], {}
    for entry in events:
        if entry["event"] != "alarm" or entry["time"] < begin["time"]:
            continue
        key = (entry.get("id", ""), entry.get("subject", ""))
        if entry.get("state") == "cleared":
            for alarm in standing.pop(key, []):
                alarm["cleared"] = entry["time"]
            continue
        alarm = {"id": key[0], "subject": key[1], "title": entry.get("title") or entry.get("text") or "", "raised": entry["time"], "cleared": ""}
        standing.setdefault(key, []).append(alarm)
        alarms.append(alarm)
    for alarm in alarms:
        last = alarm["cleared"] or ended
        alarm["seconds"] = _flight.seconds_between(alarm["raised"], last) if last else None
    return {
        "open": end is None,
        "begun": begin["time"],
        "until": begin.get("until", ""),
        "hours": begin.get("hours"),
        "sections": begin.get("sections") or [],
        "looks": (end or {}).get("looks"),
        "note": (end or {}).get("note", ""),
        "alarms": alarms,
    }


def standing(watch):
    """Alarms that nobody cleared."""
    return [alarm for alarm in watch["alarms"] if not alarm["cleared"]]


def sentence(host, watch):
    """How it stands while it goes on."""
    left = standing(watch)
    said = "%s: %s" % (count(len(left), "alarm stands", "alarms stand"), listing([a["subject"] for a in left])) if left else "no alarm stands"
    return "the work on %s is done and found whole; it is watched until %s, %s." % (host, day(watch["until"]), said)


def caveats(watch):
    """What the first screen must say of it."""
    if not watch or not watch["alarms"]:
        return []
    left = standing(watch)
    words = "; still standing: %s" % listing([a["subject"] for a in left]) if left else ", all of them over"
    return ["%s in the watch after the work%s." % (count(len(watch["alarms"]), "alarm"), words)]


def span(watch):
    """From when to when, how often."""
    looks = ", %s" % count(watch["looks"], "look") if watch["looks"] is not None else ""
    return "%s to %s%s%s" % (day(watch["begun"]), day(watch["until"]), looks, "; %s" % watch["note"] if watch["note"] else "")


def lines(watch):
    """As text."""
    out = [span(watch)[:100]]
    for alarm in watch["alarms"][:40]:
        out.append(("%s  %s: %s (%s)" % (clock(alarm["raised"]), alarm["subject"], alarm["title"], over(alarm)))[:100])
    return out if watch["alarms"] else out + ["no alarm"]


def over(alarm):
    """How long it stood."""
    return "over after %s" % duration(alarm["seconds"]) if alarm["cleared"] else "still standing"


def section(watch):
    """As a part of the page."""
    if not watch:
        return None
    rows = [tag("li", "%s " % clock(a["raised"]), tag("code", a["subject"]), " %s (%s)" % (a["title"], over(a))) for a in watch["alarms"][:200]]
    return tag(
        "section",
        tag("h2", "Watch after the work"),
        tag("div", tag("p", span(watch)), tag("ul", rows, cls="plain") if rows else tag("p", "No alarm.", cls="muted"), cls="panel"),
        id="watch",
    )
