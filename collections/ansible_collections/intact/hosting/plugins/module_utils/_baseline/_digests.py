# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Digests that probes share: short ones for content, keyed ones for secrets, and sums that tell where a table changed."""

from __future__ import annotations

import fnmatch
import hashlib
import hmac
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

GROUPS = 64


def short(value):
    """16 hex digits of SHA-256 over bytes or text: enough to notice a change, too short to carry content."""
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    return hashlib.sha256(value).hexdigest()[:16]


def keyed(system, value):
    """A digest of a secret that means nothing on another host: keyed with this host's machine id.

    Option identity: the machine id of the host that this one takes the place of, so that its documents can be held against this host's.
    """
    if isinstance(value, str):
        value = value.encode("utf-8", "surrogateescape")
    key = system.options.get("identity", "").encode() or system.read("/etc/machine-id") or b"no machine id"
    return hmac.new(key.strip(), value, hashlib.sha256).hexdigest()[:16]


def definition(text):
    """Digest of a view's, trigger's or routine's text, blind to quoting, case and blanks that versions print differently."""
    return short(re.sub(r"\s+", " ", re.sub(r"[`\"]", "", text)).strip().lower())


# Rows and columns that applications rewrite by themselves: a change in them is not a loss.
# table is a shell pattern over database.table; where (SQL, optional) names the rows, columns the columns to leave out.
VOLATILE = [
    {
        "table": "*options",
        "needs": ["option_name", "option_value"],
        "reason": "WordPress keeps its caches, locks and schedule there",
        "where": "option_name LIKE '%transient%' OR option_name IN ('cron', 'rewrite_rules', 'doing_cron', "
        "'recovery_keys', 'https_detection_errors') OR option_name LIKE '%.lock'",
    },
    {"table": "*objectcache", "needs": ["keyname", "exptime"], "rows": False, "reason": "MediaWiki's cache"},
    {"table": "*l10n_cache", "needs": ["lc_key"], "rows": False, "reason": "MediaWiki's cache of translations"},
    {"table": "*querycache*", "needs": ["qc_type"], "rows": False, "reason": "MediaWiki's cache"},
    {"table": "*module_deps", "needs": ["md_deps"], "rows": False, "reason": "MediaWiki's cache of module dependencies"},
    {"table": "*job", "needs": ["job_cmd", "job_token"], "rows": False, "reason": "MediaWiki's job queue"},
    {
        "table": "*page",
        "needs": ["page_touched"],
        "columns": ["page_touched", "page_links_updated", "page_random"],
        "reason": "MediaWiki's cache invalidation times",
    },
    {"table": "*user", "needs": ["user_touched"], "columns": ["user_touched"], "reason": "MediaWiki's cache invalidation times"},
    {"table": "*django_session", "needs": ["session_key"], "rows": False, "reason": "sessions of Django"},
    {"table": "*django_q_*", "needs": ["name"], "rows": False, "reason": "task queue of Mailman's archive"},
    {"table": "*sessions", "needs": ["sess_id"], "rows": False, "reason": "sessions of phpBB, Roundcube or Drupal"},
    {"table": "*pendedkeyvalue", "needs": ["pended_id"], "rows": False, "reason": "Mailman's pending tokens, which expire"},
    {"table": "*pended", "needs": ["expiration_date"], "rows": False, "reason": "Mailman's pending tokens, which expire"},
]


def volatile(table, columns, rules):
    """What to leave out of a table's digest: (SQL condition or "", set of columns, False when rows don't count).

    table: "database.table". columns: its column names. A rule holds where the pattern matches and all columns of needs are there.
    """
    conditions, left_out, rows = [], set(), True
    for rule in rules:
        if not fnmatch.fnmatchcase(table, rule["table"]) or not set(rule.get("needs", [])) <= set(columns):
            continue
        if not str(rule.get("reason") or "").strip():
            raise IntactError("volatile rule for %s lacks a reason" % rule["table"])
        if rule.get("where"):
            conditions.append("(%s)" % rule["where"])
        left_out.update(rule.get("columns", []))
        rows = rows and rule.get("rows", True)
    return " OR ".join(conditions), left_out, rows


def coarser(parts, factor):
    """Parts [[group, rows, sum]] with factor neighbouring groups added into one."""
    out = {}
    for group, rows, total in parts:
        group = int(group / factor) if abs(group) < 2**52 else (abs(group) // factor) * (1 if group > 0 else -1)
        have = out.setdefault(group, [group, 0, 0])
        have[1] += rows
        have[2] += int(total)
    return [[g, n, str(t)] for g, n, t in sorted(out.values())]


def until(system, subject):
    """The highest key that the table had in the earlier look, or None: up to it, the later look sums the rows once more (see judge)."""
    top = system.earlier.get("items", {}).get(subject, {}).get("top")
    return top if isinstance(top, int) else None


def contents(rows, top):
    """A table's parts, top and earlier (see judge) of [(group, rows, sum, highest key or None, whether its keys are up to the earlier top)]."""
    parts, known = {}, [0, 0]
    for group, number, total, _highest, early in rows:
        part = parts.setdefault(group, [0, 0])
        for counter in (part, known) if early else (part,):
            counter[0] += number
            counter[1] += int(total)
    out = {"parts": [[group, number, str(total)] for group, (number, total) in sorted(parts.items())]}
    highest = [row[3] for row in rows if row[3] is not None]
    if highest:
        out["top"] = max(highest)
    if top is not None:
        out["earlier"] = [top, known[0], str(known[1])]
    return out


def judge(before, after):
    """Compare the contents of two captures of a table: (kind, sentence) or None when equal.

    Table: {"rows": n, "chunk": keys per group or 0, "parts": [[group, rows, sum as text]], "key": column, "top": highest key,
    "earlier": [the earlier look's top, rows up to it, their sum]}. kind: lost (fewer rows), changed (as many, other content),
    rewritten (more, and old ones changed), added (more; every old row is as it was), grown (more; whether the old ones changed can't be told).

    New rows fall into the last of the old groups. What is in it of the old rows is told by "earlier", which only a look that knew
    the earlier document can have. Without it a last group that grew is never "added".
    """
    old, new = before.get("parts"), after.get("parts")
    rows = before["rows"], after["rows"]
    if old is None or new is None:
        if rows[0] == rows[1]:
            return None
        return ("lost" if rows[1] < rows[0] else "grown"), "%d rows, now %d (content was not digested)" % rows
    if rows[0] == rows[1] and sorted(old) == sorted(new) and before.get("chunk") == after.get("chunk"):
        return None
    spots = ""
    if before.get("chunk") and after.get("chunk"):
        chunk = max(before["chunk"], after["chunk"])
        old = {p[0]: p[1:] for p in coarser(old, chunk // before["chunk"])}
        new = {p[0]: p[1:] for p in coarser(new, chunk // after["chunk"])}
        if old == new:
            return None
        if not old:
            return "added", "it was empty, now %d rows" % rows[1]
        differ = sorted(g for g in set(old) | set(new) if old.get(g) != new.get(g))
        last = max(old)
        spots = (
            " in "
            + ", ".join("%s %d to %d" % (after.get("key") or "key", g * chunk, g * chunk + chunk - 1) for g in differ[:4])
            + (" and %d more ranges" % (len(differ) - 4) if len(differ) > 4 else "")
        )
        known = after.get("earlier") or [None]
        same = known == [before.get("top"), rows[0], str(sum(int(p[2]) for p in before["parts"]))] and known[0] is not None
        if rows[1] > rows[0] and (same or all(g > last for g in differ)):
            return "added", "%d rows, now %d: rows were added at the end%s" % (rows + (spots,))
        if rows[1] > rows[0] and (known[0] is None or known[0] != before.get("top")):
            if all(g > last or (g == last and new.get(g, [0])[0] > old[g][0]) for g in differ):
                return "grown", "%d rows, now %d: added at the end, and whether old ones changed can't be told%s" % (rows + (spots,))
    if rows[1] < rows[0]:
        return "lost", "%d rows, now %d%s" % (rows + (spots,))
    if rows[1] == rows[0]:
        return "changed", "%d rows as before, with other content%s" % (rows[0], spots)
    if not rows[0]:
        return "added", "it was empty, now %d rows" % rows[1]
    if not before.get("chunk"):
        return "grown", "%d rows, now %d (no whole-number key: whether the old rows changed can't be told)" % rows
    return "rewritten", "%d rows, now %d, not only at the end: differs%s" % (rows + (spots,))
