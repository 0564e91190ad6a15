# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Judge two captures of sites: what a visitor would miss. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding


def compare(before, after):
    """At most one finding for a site, the worst of what its answers say; the evidence lists which answers differ."""
    out = []
    old, new = before.get("items", {}), after.get("items", {})
    for name in sorted(set(old) | set(new)):
        if name not in new:
            out.append(
                _finding(
                    "missing",
                    "blocker",
                    name,
                    "the site is no longer configured",
                    "it was served by %s from %s" % (old[name]["server"], ", ".join(old[name]["config"])),
                    "missing",
                    old[name],
                    old[name],
                    [],
                    remedy="bring its configuration back",
                )
            )
        elif name not in old:
            out.append(
                _finding(
                    "new",
                    "warning",
                    name,
                    "a site that was not there before",
                    "in %s" % ", ".join(new[name]["config"]),
                    "new",
                    new[name],
                    new[name],
                    [],
                    remedy="find out who made it",
                )
            )
        else:
            out += _site(name, old[name], new[name])
    return _together(out, old)


def _together(findings, old):
    """One finding for all names of one virtual host to which the same happened: they are one site to its owner."""
    groups = {}
    for finding in findings:
        host = old.get(finding.subject, {}).get("host", finding.subject)
        groups.setdefault((host, finding.id, finding.evidence if finding.id != "sites.missing" else ""), []).append(finding)
    out = []
    for (host, _id, _evidence), group in groups.items():
        chosen = next((f for f in group if f.subject == host), group[0])
        names = [f.subject for f in group if f is not chosen]
        if names:
            chosen.evidence += "; the same for %s" % ", ".join(names[:6]) + (" and %d more" % (len(names) - 6) if len(names) > 6 else "")
            chosen.covers += [entry for f in group for entry in f.covers if entry not in chosen.covers]
            chosen.details["names"] = names
        out.append(chosen)
    return out


# worst first; (id, severity, title)
KINDS = [
    ("unanswered", "blocker", "the site does not answer"),
    ("status.changed", "blocker", "the site answers with another status"),
    ("body.changed", "blocker", "the site serves other content"),
    ("redirect.changed", "blocker", "the site redirects elsewhere"),
    ("ipv6.lost", "blocker", "the site does not answer over IPv6"),
    ("unanswered.before", "warning", "the site does not work, nor did it before: whether it survived can't be told"),
    ("type.changed", "warning", "the site answers with another content type"),
    ("listen.changed", "blocker", "the site is no longer configured on an address"),
    ("recovered", "info", "the site answers where it did not before"),
    ("markup.changed", "info", "the page's markup differs, its text does not"),
]


def _site(name, old, new):
    seen = {}
    for label in sorted(old["answers"]):
        was, now = old["answers"][label], new["answers"].get(label)
        kind, sentence = ("listen.changed", "no longer configured") if now is None else judge(was, now)
        if kind:
            seen.setdefault(kind, []).append((label, sentence))
    lost = seen.get("unanswered", [])
    if lost and all(" IPv6 " in label or "::" in label for label, _s in lost) and len(lost) < len(old["answers"]):
        seen["ipv6.lost"] = seen.pop("unanswered")
    closed = seen.get("listen.changed", [])
    if closed and all(" IPv6 " in label or "::" in label for label, _s in closed):
        # another site's listener on the same address answers in its place
        seen["ipv6.lost"] = seen.pop("listen.changed") + seen.get("ipv6.lost", [])
    for kind, severity, title in KINDS:
        if kind in seen:
            told = ["%s: %s" % pair for other, _sev, _t in KINDS for pair in seen.get(other, []) if other != "markup.changed" or kind == other]
            evidence = "; ".join(told[:6]) + ("; and %d more" % (len(told) - 6) if len(told) > 6 else "")
            change = "still" if kind == "unanswered.before" else "changed"
            return [_finding(kind, severity, name, title, evidence, change, old, new, seen[kind])]
    return []


def judge(was, now):
    """(kind, sentence) for one answer, or (None, "") when it is the same to a visitor."""
    if "error" in now:
        return ("unanswered.before", "%s, as before" % now["error"]) if "error" in was else ("unanswered", "%s (was %s)" % (now["error"], shown(was)))
    if "error" in was:
        if now["status"] >= 500:
            return "unanswered.before", "was %s, is %s" % (was["error"], shown(now))
        return "recovered", "was %s, is %s" % (was["error"], shown(now))
    if was["status"] != now["status"]:
        return "status.changed", "was %s, is %s" % (shown(was), shown(now))
    if was.get("chain") != now.get("chain"):
        return "redirect.changed", "was %s, is %s" % (" then ".join(was.get("chain", ["no redirect"])), " then ".join(now.get("chain", ["no redirect"])))
    kind, sentence = _page(was, now)
    if now["status"] >= 500 and kind != "body.changed":
        return "unanswered.before", "%s, as before" % shown(now)
    return kind, sentence


def _page(was, now):
    """judge() of two pages with the same status."""
    if was["text"] != now["text"]:
        if "stable" not in was:
            return "body.changed", "was %s, is %s" % (shown(was), shown(now))
        kept = set(was["stable"])
        # the page differs each time it is asked for: only what stood still before must still be there
        gone = kept - set(now.get("stable", []))
        if was["title"] != now["title"] or ("stable" not in now and kept) or len(gone) > len(kept) // 10:
            return "body.changed", "was %s, is %s (a page with changing parts: %d of %d steady lines are gone)" % (shown(was), shown(now), len(gone), len(kept))
        return None, ""
    if was["type"] != now["type"]:
        return "type.changed", "was %s, is %s" % (was["type"] or "none", now["type"] or "none")
    if was["markup"] != now["markup"] and "varies" not in (was["markup"], now["markup"]):
        return "markup.changed", "other markup around the same text"
    return None, ""


def shown(answer):
    """An answer in a few words."""
    if "error" in answer:
        return answer["error"]
    words = answer["title"] or answer["words"]
    return "%d %s" % (answer["status"], "'%s'" % words if words else "(%s, no text)" % (answer["type"] or "no type"))


def _finding(kind, severity, name, title, evidence, change, old, new, labels, remedy="compare the site's configuration, files and database with the backup"):
    paths = sorted(set(old["config"] + new["config"] + old["roots"] + new["roots"]))
    listen = old["listen"]
    if labels:
        # only the addresses where it went wrong: a lost IPv6 listener must not explain a broken page on IPv4
        families = {"6" if " IPv6 " in label or "::" in label else "4" for label, _sentence in labels}
        listen = [a for a in listen if ("6" if a.startswith("[") else "4") in families]
    paths += ["socket:" + a for a in listen] + ["service:%s.service" % new["server"]]
    if new["php"]:
        paths.append("service:php-fpm")
        if old["databases"]:
            paths += ["service:mariadb.service", "service:mysql.service", "service:postgresql.service", "database:"]
    paths += ["database:" + d for d in old["databases"]]
    # only a finding as grave as a lost page stands for the page's own file
    index = [{"section": "files", "path": root + "/" + file} for root in new["roots"] for file in ("index.html", "index.htm", "index.php")]
    index = index if severity == "blocker" else []
    covers = [{"section": "files", "path": p} for p in sorted(set(old["config"] + new["config"]))] + index
    if kind in ("unanswered", "missing", "unanswered.before"):
        covers.append({"section": "tls", "path": "site:" + name})
    shown_before = {label: old["answers"].get(label) for label, _sentence in labels} or None
    shown_after = {label: new["answers"].get(label) for label, _sentence in labels} or None
    return Finding(
        id="sites." + kind,
        severity=severity,
        subject=name,
        title=title,
        evidence=evidence,
        remedy=remedy,
        check="QF11" if kind == "ipv6.lost" else "QF10",
        details=_compare.details(change, kind, _brief(shown_before), _brief(shown_after), paths=paths),
        covers=covers,
    )


def _brief(answers):
    return "; ".join("%s: %s" % (label, shown(a)) for label, a in sorted(answers.items()) if a) if answers else None
