# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""When a finding of the watch is an alarm, when it is over, and whether the flight may be closed. Pure."""

from __future__ import annotations

import datetime
import fnmatch

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError, parse_time

# What a customer would miss now. What somebody edits while the watch goes on (a page, a record, a new service) is none of it.
IDS = (
    "sites.unanswered",
    "sites.missing",
    "sites.status.changed",
    "sites.ipv6.lost",
    "services.missing",
    "services.failed",
    "services.active.changed",
    "sockets.missing",
    "sockets.address.changed",
    "mounts.missing",
    "mounts.swap.missing",
    "network.*",
    "resolver.lookup.*",
    "dns.zone.missing",
    "dns.zone.unanswered",
    "*.unread",
    "*.uncompared",
    "watch.blind",
)
SECTIONS = ("mounts", "network", "resolver", "services", "sockets", "sites", "dns")
# So many looks in a row must see a thing before it is an alarm: a restart is none.
PATIENCE = 2
# Of the looks that there should be, so many at least, or nobody watched.
SHARE = 0.5
MOST = 200


def begin(flight, hours, sections, now):
    """A fresh state: {flight, begun, until, hours, sections, looks, last, standing}."""
    until = now + datetime.timedelta(hours=hours)
    return {
        "flight": flight,
        "begun": stamp(now),
        "until": stamp(until),
        "hours": hours,
        "sections": list(sections),
        "looks": 0,
        "last": "",
        "standing": {},
    }


def stamp(when):
    """2026-11-22T11:34:05Z of an aware datetime."""
    return when.astimezone(datetime.timezone.utc).isoformat(timespec="seconds").replace("+00:00", "Z")


def alarming(finding):
    """Whether a finding (a dict) is one that somebody has to be called for."""
    return finding["severity"] == "blocker" and any(fnmatch.fnmatchcase(finding["id"], pattern) for pattern in IDS)


def seen(findings):
    """{key: finding} of those that alarm."""
    return {"%s %s" % (f["id"], f["subject"]): f for f in findings if alarming(f)}


def step(standing, found, patience=PATIENCE):
    """(standing after this look, [entries raised], [entries cleared]). standing: {key: {id, subject, title, looks, raised}}; found: see seen()."""
    after, raised, cleared = {}, [], []
    for key in sorted(found)[:MOST]:
        before, finding = standing.get(key) or {}, found[key]
        entry = {"id": finding["id"], "subject": finding["subject"], "title": finding["title"], "looks": before.get("looks", 0) + 1}
        entry["evidence"] = str(finding.get("evidence") or "")[:500]
        entry["change"] = (finding.get("details") or {}).get("change", "")
        entry["raised"] = bool(before.get("raised"))
        if not entry["raised"] and entry["looks"] >= patience:
            entry["raised"] = True
            raised.append(entry)
        after[key] = entry
    for key in sorted(set(standing) - set(after)):
        if standing[key].get("raised"):
            cleared.append(standing[key])
    return after, raised, cleared


def over(state, now):
    """Whether the time of the watch is up."""
    return now >= parse_time(state["until"])


def standing(state):
    """Alarms that stand."""
    return [entry for _key, entry in sorted(state["standing"].items()) if entry.get("raised")]


def closing(state, now):
    """{due, verdict: intact | loss | failed, why}: how the flight would be closed now."""
    begun, until = parse_time(state["begun"]), parse_time(state["until"])
    wanted = max(int(over(state, now)), int((min(now, until) - begun).total_seconds() // 60))
    left = standing(state)
    out = {"due": over(state, now), "verdict": "intact", "why": "%d looks, no alarm stands" % state["looks"]}
    if left:
        names = ", ".join("%s (%s)" % (entry["subject"], entry["title"]) for entry in left[:3])
        out.update(verdict="loss", why="%d alarm%s of the watch stand%s: %s" % (len(left), "" if len(left) == 1 else "s", "s" if len(left) == 1 else "", names))
    elif state["looks"] < wanted * SHARE:
        out.update(verdict="failed", why="the watch took %d of %d looks, so nobody knows how the host was" % (state["looks"], wanted))
    return out


def check_sections(names, known):
    """The sections in their order, or IntactError naming one that there is not."""
    wanted = list(dict.fromkeys(names)) or list(SECTIONS)
    unknown = [name for name in wanted if name not in known]
    if unknown:
        raise IntactError("flight_watch_sections: no such section: %s. There are: %s" % (", ".join(unknown), ", ".join(known)))
    return wanted
