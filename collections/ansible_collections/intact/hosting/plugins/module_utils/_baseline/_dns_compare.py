# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Judge two captures of the zones: what resolvers would no longer hear. Pure."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding


def compare(before, after):
    """Findings: zones that are gone or not answered, one finding for each record set that differs, serials that went back, signatures that fail."""
    old, new = before.get("items", {}), after.get("items", {})
    gone = {s[5:] for s, item in old.items() if item["kind"] == "zone" and (s not in new or new[s].get("error") or item.get("error"))}
    fresh = {s[5:] for s, item in new.items() if item["kind"] == "zone" and s not in old}
    out = []
    for subject in sorted(set(old) | set(new)):
        was, now = old.get(subject), new.get(subject)
        if (now or was)["kind"] == "zone":
            out += _zone_change(subject, was, now, old)
        elif (now or was)["zone"] not in gone | fresh and was != now:
            out += _record_change(subject, was, now)
    return out


def _finding(
    name,
    severity,
    subject,
    title,
    evidence,
    change,
    attribute,
    before,
    after,
    item,
    remedy="compare the zone file with the backup, then rndc reload",
    told_by=(),
):
    file = item["file"]
    return Finding(
        id="dns." + name,
        severity=severity,
        subject=subject,
        title=title,
        evidence=evidence,
        remedy=remedy,
        check="QF18",
        details=_compare.details(
            change,
            attribute,
            before,
            after,
            zone=item.get("zone", subject),
            paths=([file] if file else []) + ["service:named.service", "service:bind9.service", "socket:127.0.0.1:53"],
        ),
        covers=([{"section": "files", "path": file + suffix} for suffix in ("", ".jnl", ".jbk", ".signed", ".signed.jnl")] if file else [])
        + [{"section": "files", "path": path} for path in told_by],
    )


def _record_change(subject, was, now):
    zone = (now or was)["zone"]
    if now is None:
        return [
            _finding(
                "record.missing",
                "blocker",
                subject,
                "the record is gone from zone %s" % zone,
                "was %s" % "; ".join(was["data"]),
                "missing",
                "",
                was["data"],
                None,
                was,
            )
        ]
    if was is None:
        return [
            _finding(
                "record.new",
                "warning",
                subject,
                "a record that was not there before in zone %s" % zone,
                "; ".join(now["data"]),
                "new",
                "",
                None,
                now["data"],
                now,
                remedy="find out who added it",
            )
        ]
    if was["data"] != now["data"]:
        return [
            _finding(
                "record.changed",
                "blocker",
                subject,
                "the record changed in zone %s" % zone,
                "was %s, is %s" % ("; ".join(was["data"]), "; ".join(now["data"])),
                "changed",
                "data",
                was["data"],
                now["data"],
                now,
            )
        ]
    if was["ttl"] != now["ttl"]:
        return [
            _finding(
                "record.ttl",
                "warning",
                subject,
                "the record's TTL changed in zone %s" % zone,
                "was %d s, is %d s" % (was["ttl"], now["ttl"]),
                "changed",
                "ttl",
                was["ttl"],
                now["ttl"],
                now,
            )
        ]
    return []


def _zone_change(subject, was, now, old):
    count = sum(1 for item in old.values() if item.get("zone") == subject[5:])
    if now is None:
        return [
            _finding(
                "zone.missing",
                "blocker",
                subject,
                "the zone is no longer configured",
                "it had %d record sets" % count,
                "missing",
                "",
                None,
                None,
                was,
                remedy="bring its entry in named's configuration back",
                told_by=was.get("config", []),
            )
        ]
    if was is None:
        return [
            _finding(
                "zone.new",
                "warning",
                subject,
                "a zone that was not there before",
                now.get("file", ""),
                "new",
                "",
                None,
                None,
                now,
                remedy="find out who made it",
                told_by=now.get("config", []),
            )
        ]
    if now.get("error"):
        again = "" if not was.get("error") else " (nor before)"
        return [
            _finding(
                "zone.unanswered",
                "blocker",
                subject,
                "the zone is not answered%s" % again,
                now["error"],
                "changed",
                "error",
                was.get("error"),
                now["error"],
                now,
                remedy="named-checkzone says what is wrong with the file; named's log what is wrong with the server",
            )
        ]
    if was.get("error"):
        return [
            _finding(
                "zone.unread",
                "warning",
                subject,
                "the zone could not be read before: nothing to compare with",
                was["error"],
                "changed",
                "error",
                was["error"],
                None,
                now,
                remedy="look at its records yourself, or waive this",
            )
        ]
    out = []
    if was["soa"] != now["soa"]:
        out.append(
            _finding(
                "soa.changed",
                "blocker",
                subject,
                "the zone's SOA changed",
                "was %s, is %s" % (" ".join(was["soa"]), " ".join(now["soa"])),
                "changed",
                "soa",
                was["soa"],
                now["soa"],
                now,
            )
        )
    # serial arithmetic of RFC 1982: a step of less than half the circle is forward
    if was["serial"] != now["serial"] and (now["serial"] - was["serial"]) % 2**32 >= 2**31:
        out.append(
            _finding(
                "serial.backwards",
                "blocker",
                subject,
                "the zone's serial went back: its secondaries will ignore changes",
                "was %d, is %d" % (was["serial"], now["serial"]),
                "changed",
                "serial",
                was["serial"],
                now["serial"],
                now,
                remedy="raise the serial above the old one, then rndc reload",
            )
        )
    if was["signed"] and not now["signed"]:
        out.append(
            _finding(
                "signature.missing",
                "blocker",
                subject,
                "the zone is no longer signed: validating resolvers treat it as forged",
                "",
                "changed",
                "signed",
                True,
                False,
                now,
                remedy="bring its keys and its dnssec-policy back before the parent's DS is seen",
                told_by=now.get("config", []),
            )
        )
        return out
    if was["signed"] and now["signed"]:
        lost = [k for k in was["keys"] if k.startswith("257 ") and k not in now["keys"]]
        if lost:
            out.append(
                _finding(
                    "key.changed",
                    "blocker",
                    subject,
                    "the zone is signed with another key: the parent's DS no longer fits",
                    "%d key-signing keys are gone" % len(lost),
                    "changed",
                    "keys",
                    was["keys"],
                    now["keys"],
                    now,
                    remedy="bring the keys in named's key directory back",
                )
            )
        elif set(was["keys"]) != set(now["keys"]):
            out.append(
                _finding("key.rolled", "info", subject, "a zone-signing key was rolled", "", "changed", "keys", was["keys"], now["keys"], now, remedy="")
            )
    if now.get("signature", "valid") != "valid" and was.get("signature") != now["signature"] and not out:
        out.append(
            _finding(
                "signature.invalid",
                "blocker",
                subject,
                "the zone's signature is not valid",
                now["signature"],
                "changed",
                "signature",
                was.get("signature"),
                now["signature"],
                now,
                remedy="look at named's key directory and log, then rndc sign",
            )
        )
    if was["transfer"] != now["transfer"] or was["allowed"] != now["allowed"]:
        shown = [
            "%s, from this host %s" % ("rule: " + " ".join(z["allowed"]) if z["allowed"] else "no rule", "allowed" if z["transfer"] else "refused")
            for z in (was, now)
        ]
        out.append(
            _finding(
                "transfer.changed",
                "warning",
                subject,
                "who may transfer the zone changed",
                "was %s; is %s" % tuple(shown),
                "changed",
                "transfer",
                was["transfer"],
                now["transfer"],
                now,
                remedy="say allow-transfer in named's configuration: the default is to refuse since 9.20, and secondaries go stale",
                told_by=now.get("config", []) + now.get("options", []),
            )
        )
    return out
