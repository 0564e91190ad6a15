# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Firewall: every rule that the kernel holds, the policies of base chains, sets without a timeout, fail2ban's jails."""

from __future__ import annotations

import json

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _rules
from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details, differences
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

SECTION = "firewall"
# Where rules are kept: a changed rule explains the changed file.
KEPT_IN = (
    "/etc/nftables.conf",
    "/etc/nftables.d",
    "/etc/nftables",
    "/etc/iptables",
    "/etc/ipset.conf",
    "/etc/ufw",
    "/etc/firewalld",
    "/etc/shorewall",
    "/etc/ferm",
    "/etc/csf",
    "/etc/fail2ban",
)


def capture(system):
    """Items: "inet filter input: tcp dport 22 accept" {kind: rule, chain, count}, "inet filter input" {kind: chain, policy, ...},
    "inet filter set blocked" {kind: set, elements}, "fail2ban sshd" {kind: jail}. order: {chain: [rule texts]}.
    """
    if not any(system.which(program) for program in ("nft", "iptables-save", "iptables-legacy-save", "ipset", "fail2ban-client")):
        return None
    chains, rules, sets, listed = {}, [], {}, set()
    for family, program in (("iptables", "iptables-save"), ("ip6tables", "ip6tables-save")):
        for part in _saved(system, family, program):
            listed |= {("ip" if family == "iptables" else "ip6", table) for table in part["tables"]}
            chains.update(part["chains"])
            rules += part["rules"]
    if system.which("nft"):
        part = _rules.nft(_without(_listed(system), listed))
        chains.update(part["chains"])
        rules += part["rules"]
        sets.update(part["sets"])
    if system.which("ipset"):
        sets.update(_rules.ipset(system.run(["ipset", "save"]).text))
    items = {escape(name): dict(chain, kind="chain") for name, chain in chains.items() if _worth(chain) or any(c == name for c, _r in rules)}
    order = {}
    for chain, text in rules:
        subject = escape("%s: %s" % (chain, text))
        items.setdefault(subject, {"kind": "rule", "chain": escape(chain), "count": 0})["count"] += 1
        order.setdefault(escape(chain), []).append(escape(text))
    items.update({escape(name): dict(entry, kind="set") for name, entry in sets.items()})
    jails = _jails(system)
    items.update({"fail2ban " + escape(jail): {"kind": "jail"} for jail in jails})
    summary = {"chains": sum(1 for i in items.values() if i["kind"] == "chain"), "rules": len(rules), "sets": len(sets), "jails": len(jails)}
    return {"items": items, "order": order, "summary": summary}


def _worth(chain):
    """An empty chain that filters nothing (policy accept, or none) is no loss when it goes: iptables makes such ones on being asked."""
    return chain.get("policy") not in (None, "accept", "ACCEPT")


def _listed(system):
    result = system.run(["nft", "-j", "list", "ruleset"])
    try:
        return json.loads(result.text or "{}")
    except ValueError:
        raise IntactError("nft -j list ruleset gave no JSON: %s" % result.text[:200]) from None


def _without(document, listed):
    """The ruleset without the tables that iptables-save listed: nft cannot tell what their extensions match."""

    def ours(entry):
        body = next(iter(entry.values()))
        return (body.get("family"), body.get("table") or body.get("name")) not in listed

    return {"nftables": [entry for entry in document.get("nftables", []) if ours(entry)]}


def _saved(system, family, program):
    """Parsed output of the iptables tool in use and, beside it, of the legacy one where the kernel holds such rules."""
    names = "/proc/net/ip_tables_names" if family == "iptables" else "/proc/net/ip6_tables_names"
    legacy = program.replace("-save", "-legacy-save")
    for tool in (program, legacy):
        if not system.which(tool) or (tool == legacy and not system.text(names).strip()):
            continue
        try:
            text = system.run([tool]).text
        except IntactError as exc:
            if family == "ip6tables" and not system.exists("/proc/net/if_inet6"):
                continue  # a host without IPv6 has no such rules
            system.skip(tool, str(exc))
            continue
        part = _rules.iptables(text, family)
        yield part if "(legacy)" not in text else dict(part, tables=[])
        if "(legacy)" in text:
            return


def _jails(system):
    """Names of fail2ban's jails; none when it is not running (the services section tells that)."""
    if not system.which("fail2ban-client"):
        return []
    result = system.run(["fail2ban-client", "status"], check=False)
    for line in result.text.splitlines():
        if "Jail list:" in line:
            return sorted(name.strip() for name in line.split("Jail list:", 1)[1].split(",") if name.strip())
    return []


def compare(before, after):
    """Findings for two data dicts."""
    old, new = before.get("items", {}), after.get("items", {})
    rules_before = [subject for subject, item in old.items() if item["kind"] in ("rule", "chain")]
    if rules_before and not any(item["kind"] in ("rule", "chain") for item in new.values()):
        return [
            _finding(
                "firewall.empty",
                "blocker",
                "firewall",
                "no rule is loaded any more: every port is open to everybody",
                "%d rules and chains before, none now" % len(rules_before),
                "missing",
                "",
                len(rules_before),
                0,
                remedy="start the service that loads the rules (systemctl status nftables) and look into its journal",
            )
        ]
    lost_chains = {subject for subject, item in old.items() if item["kind"] == "chain" and subject not in new}
    out = [_lost_chain(chain, old) for chain in sorted(lost_chains)]
    for subject, change, attribute, was, now in differences(old, new):
        item = old.get(subject) or new[subject]
        if subject in lost_chains or item.get("chain") in lost_chains:
            continue
        found = {"missing": _missing, "new": _added}.get(change, _changed)(subject, item, attribute, was, now)
        if found:
            out.append(found)
    return out + list(_reordered(before, after))


def _lost_chain(chain, old):
    held = [subject for subject, item in old.items() if item.get("chain") == chain]
    return _finding(
        "firewall.chain.missing",
        "blocker",
        chain,
        "the chain is gone with all its rules",
        "%d rules before%s" % (len(held), (": " + "; ".join(s.split(": ", 1)[1] for s in held[:3])) if held else ""),
        "missing",
        "",
        old[chain],
        None,
    )


def _missing(subject, item, _attribute, was, _now):
    if item["kind"] == "jail":
        return _finding(
            "firewall.jail.missing",
            "blocker",
            subject,
            "fail2ban no longer watches this",
            "the jail was there before",
            "missing",
            "",
            was,
            None,
            remedy="look into fail2ban-client status and the jail's log path and backend",
        )
    word = {"rule": "the rule is gone", "set": "the set is gone"}[item["kind"]]
    return _finding("firewall.%s.missing" % item["kind"], "blocker", subject, word, "it was loaded before", "missing", "", was, None)


def _added(subject, item, _attribute, _was, now):
    return _finding(
        "firewall.%s.new" % item["kind"],
        "warning",
        subject,
        "was not loaded before",
        "",
        "new",
        "",
        None,
        now,
        remedy="find out who added it; allow it with a reason or remove it",
    )


def _changed(subject, item, attribute, was, now):
    if attribute == "policy":
        weaker = str(was).lower() == "drop"
        return _finding(
            "firewall.policy.changed",
            "blocker",
            subject,
            "what no rule names is let in now" if weaker else "what no rule names is treated differently now",
            "policy %s before, %s now" % (was, now),
            "changed",
            attribute,
            was,
            now,
        )
    if attribute == "elements" and was is not None and now is not None:
        lost, more = [e for e in was if e not in now], [e for e in now if e not in was]
        return _finding(
            "firewall.set.changed",
            "blocker" if lost else "warning",
            subject,
            "the set holds other elements",
            "%d lost%s, %d new%s" % (len(lost), _few(lost), len(more), _few(more)),
            "changed",
            attribute,
            len(was),
            len(now),
        )
    severity = "warning" if attribute == "count" else "blocker"
    return _finding(
        "firewall.%s.changed" % item["kind"],
        severity,
        subject,
        "%s is not what it was" % attribute,
        "%s before, %s now" % (was, now),
        "changed",
        attribute,
        was,
        now,
    )


def _few(elements):
    return " (%s%s)" % (", ".join(elements[:5]), ", ..." if len(elements) > 5 else "") if elements else ""


def _reordered(before, after):
    """Rules are read in order: the same rules in another order are another firewall."""
    for chain, old in sorted(before.get("order", {}).items()):
        new = after.get("order", {}).get(chain, [])
        kept_old, kept_new = [r for r in old if r in new], [r for r in new if r in old]
        if sorted(kept_old) == sorted(kept_new) and kept_old != kept_new:
            place = [old_rule != new_rule for old_rule, new_rule in zip(kept_old, kept_new)].index(True)
            seen = "rule %d was %r, is %r" % (place + 1, kept_old[place], kept_new[place])
            yield _finding("firewall.order.changed", "blocker", chain, "the rules are in another order", seen, "changed", "order", None, None)


def _finding(finding, severity, subject, title, evidence, change, attribute, was, now, remedy="load the rules again from their configuration, or restore it"):
    return Finding(
        id=finding,
        severity=severity,
        subject=subject,
        title=title,
        evidence=evidence,
        remedy=remedy,
        details=details(change, attribute, was, now),
        covers=[{"section": "files", "path": path} for path in KEPT_IN],
    )
