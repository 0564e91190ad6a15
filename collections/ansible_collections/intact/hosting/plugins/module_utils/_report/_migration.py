# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The section Migration: what the reconciliation counted, class by class. Pure. For a flight without a migration there is none."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._report import _parts
from ansible_collections.intact.hosting.plugins.module_utils._report._markup import tag
from ansible_collections.intact.hosting.plugins.module_utils._report._words import count, number

SHOWN = 8


def build(document):
    """{counts, classes [{class looked old new explained unexplained sums reasons}]} of reconcile.json, or None."""
    if not document:
        return None
    keys = ("class", "looked", "old", "new", "explained", "unexplained", "sums", "reasons")
    return {"counts": document.get("counts") or {}, "classes": [{key: row.get(key) for key in keys} for row in document.get("classes") or []]}


def unproven(document):
    """What was not looked at, so that nothing can be said about it: sentences. What was found to differ the gate judges."""
    rows = document.get("classes") or []
    out = [] if rows else ["the reconciliation looked at no class"]
    unseen = [row.get("class", "?") for row in rows if not row.get("looked")]
    if unseen:
        out.append("%s could not be looked at: %s" % (count(len(unseen), "class", "classes"), ", ".join(unseen)))
    if rows and all(not row.get("old") for row in rows):
        out.append("nothing was found on the old disk")
    asked = [f.get("subject", "?") for f in document.get("findings") or [] if str(f.get("id", "")).endswith(".left_out")]
    if asked:
        out.append("nobody asked about %s" % ", ".join(asked))
    return out


def section(model):
    """The page's section."""
    found = model["migration"]
    if not found:
        return None
    rows = []
    for row in found["classes"]:
        left = row["unexplained"]
        state = (
            _parts.badge("not looked at", "bad")
            if not row["looked"]
            else _parts.badge("%d unexplained" % left, "bad")
            if left
            else _parts.badge("equal", "good")
        )
        reasons = [tag("li", "%s: %s" % (number(reason["count"]), reason["reason"])) for reason in (row["reasons"] or [])[:SHOWN]]
        why = tag("details", tag("summary", "%s explained" % number(row["explained"])), tag("ul", reasons, cls="plain small")) if reasons else "-"
        rows.append(tag("tr", tag("td", row["class"]), _figure(row, "old"), _figure(row, "new"), tag("td", why), tag("td", state)))
        for name, pair in sorted((row["sums"] or {}).items()):
            rows.append(tag("tr", tag("td", "- " + name, cls="muted"), *[tag("td", number(value), cls="num") for value in pair], tag("td", ""), tag("td", "")))
    heads = ["Class", "Old disk", "This host", "Differences with a reason", "State"]
    return tag("section", tag("h2", "Migration"), tag("div", tag("div", _parts.table(heads, rows), cls="scroll"), cls="panel"), id="migration")


def _figure(row, name):
    return tag("td", number(row[name]) if row["looked"] else "?", cls="num")


def lines(model):
    """The same for the text report."""
    out = []
    for row in (model["migration"] or {"classes": []})["classes"]:
        state = "%s unexplained" % number(row["unexplained"]) if row["unexplained"] else "equal" if row["looked"] else "not looked at"
        pair = "%s on the old disk, %s here" % (number(row["old"]), number(row["new"])) if row["looked"] else "not known"
        out.append("%-14s %-16s %s, %s explained" % (row["class"], state, pair, number(row["explained"])))
        out += ["  %-12s %16s %s -> %s" % (name, "", number(old), number(new)) for name, (old, new) in sorted((row["sums"] or {}).items())]
    return out
