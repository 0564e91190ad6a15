# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Packet filter rules as one line of text each, the same for every version of the tools that list them. Pure.

nft: from its JSON (libnftables-json(5)), without handles, counters and positions. iptables: from iptables-save(8).
"""

from __future__ import annotations

import json
import re

# Chains that a container or cluster engine writes again at each start, with addresses of the moment.
ENGINES = re.compile(r"^(DOCKER.*|BR-.*|LIBVIRT_.*|CNI-.*|KUBE-.*|cali-.*|FLANNEL-.*|NETAVARK.*|PODMAN.*)$")
ENGINE_TABLES = re.compile(r"^(docker-bridges|netavark|libvirt_network|kube-proxy)$")
ENGINE_LINKS = re.compile(r"(docker\d+|br-[0-9a-f]{12}|veth[0-9a-f]+|virbr\d+|cni\d+|podman\d+)")
# Chains and sets that hold the bans of the moment.
BANS = re.compile(r"^(f2b-|fail2ban|addr-set-|addr6-set-|sshguard|crowdsec)")
USERS_OWN = "DOCKER-USER"
NOISE = ("counter", "quota", "last")
NEGATE = {"==": "", "!=": "!= ", "in": "", "<": "< ", ">": "> ", "<=": "<= ", ">=": ">= "}


def nft(document):
    """{"chains": {"inet filter input": {type, hook, priority, policy}}, "rules": [(chain, text)], "sets": {name: {...}}} of nft -j list ruleset."""
    chains, rules, sets = {}, [], {}
    for entry in document.get("nftables", []):
        ((kind, body),) = entry.items()
        if kind == "metainfo" or ENGINE_TABLES.match(str(body.get("table") or body.get("name"))):
            continue
        if kind == "chain":
            if not engine_chain(body["name"]):
                chains["%s %s %s" % (body["family"], body["table"], body["name"])] = _plain({k: body.get(k) for k in ("type", "hook", "prio", "policy")})
        elif kind == "rule":
            text = " ".join(filter(None, (_statement(part) for part in body.get("expr", []))))
            if text and not engine_rule(body["chain"], text):  # a rule that only counts does nothing
                rules.append(("%s %s %s" % (body["family"], body["table"], body["chain"]), text))
        elif kind in ("set", "map") and not BANS.match(body["name"]):
            flags = body.get("flags") or []
            living = "dynamic" in flags or "timeout" in flags
            sets["%s %s set %s" % (body["family"], body["table"], body["name"])] = {
                "type": _value(body.get("type")),
                "elements": None if living else sorted(_element(e) for e in body.get("elem", [])),
            }
    return {"chains": chains, "rules": rules, "sets": sets}


def engine_chain(name):
    """Whether a chain belongs to a container engine; DOCKER-USER is the administrator's."""
    return bool(ENGINES.match(name)) and name != USERS_OWN


def engine_rule(chain, text):
    """Whether a rule is a container engine's or a ban of the moment."""
    if engine_chain(chain) or BANS.match(chain):
        return True
    jump = re.search(r"(?:jump|goto|-j|-g) (\S+)", text)
    if jump and engine_chain(jump.group(1)):
        return True
    return chain != USERS_OWN and bool(ENGINE_LINKS.search(text))


def _plain(chain):
    return {("priority" if k == "prio" else k): v for k, v in chain.items() if v is not None}


def _statement(part):
    """One statement of a rule as text; counters and the like are nothing."""
    if isinstance(part, str):
        return part
    ((kind, body),) = part.items()
    if kind in NOISE:
        return ""
    if kind == "match":
        if isinstance(body["right"], list):  # "ct state established,related": a list here, a set in other versions
            body = dict(body, right={"set": body["right"]})
        return "%s %s%s" % (_value(body["left"]), NEGATE.get(body.get("op", "=="), body.get("op", "") + " "), _value(body["right"]))
    if kind in ("accept", "drop", "return", "continue", "notrack"):
        return kind
    if kind in ("jump", "goto"):
        return "%s %s" % (kind, body["target"])
    if kind in ("dnat", "snat", "masquerade", "redirect") and (body is None or isinstance(body, dict)):
        body = body or {}
        address, port = _value(body["addr"]) if "addr" in body else "", (":%s" % _value(body["port"])) if "port" in body else ""
        flags = " ".join(sorted(_list(body.get("flags"))))
        return " ".join(filter(None, [kind, "to " + address + port if address or port else "", flags]))
    if kind == "limit":
        return "limit rate %s%s/%s burst %s" % ("over " if body.get("inv") else "", body.get("rate"), body.get("per"), body.get("burst", ""))
    if kind == "reject":
        body = body or {}
        return " ".join(filter(None, ["reject", body.get("type") and "with " + body["type"], body.get("expr") and _value(body["expr"])]))
    if kind == "log":
        return " ".join(["log"] + ["%s %s" % (k, json.dumps(v) if isinstance(v, str) else _value(v)) for k, v in sorted((body or {}).items())])
    if kind == "mangle":
        return "%s set %s" % (_value(body["key"]), _value(body["value"]))
    if kind == "xt":
        return "xt %s" % " ".join(str(v) for v in (body or {}).values())
    if kind == "vmap":
        return "%s vmap %s" % (_value(body["key"]), _value(body["data"]))
    return "%s %s" % (kind, _value(body)) if body is not None else kind


def _value(value):
    """An expression as text."""
    if isinstance(value, list):
        return " . ".join(_value(v) for v in value)
    if not isinstance(value, dict):
        return str(value).lower() if isinstance(value, bool) else str(value)
    if len(value) == 1:
        ((kind, body),) = value.items()
        if kind == "payload" and "field" in body:
            return "%s %s" % (body["protocol"], body["field"])
        if kind in ("meta", "ct"):
            key = body["key"] if isinstance(body, dict) else body
            return key if kind == "meta" and key in ("iif", "oif", "iifname", "oifname") else "%s %s" % (kind, key)
        if kind == "set":
            return "{ %s }" % ", ".join(sorted(_element(v) for v in _list(body)))
        if kind == "prefix":
            return "%s/%s" % (_value(body["addr"]), body["len"])
        if kind == "range":
            return "%s-%s" % tuple(_value(v) for v in body)
        if kind == "concat":
            return " . ".join(_value(v) for v in body)
        if kind in ("|", "&", "^", "<<", ">>"):
            if kind == "|":
                return _flags(body)
            return "(%s)" % (" %s " % kind).join(_flags(v) if isinstance(v, list) else _value(v) for v in body)
        if kind in ("jump", "goto"):
            return "%s %s" % (kind, body["target"])
        if kind in ("accept", "drop", "return", "continue") and body is None:
            return kind
        if kind == "elem":
            return _value(body.get("val"))
    return json.dumps(value, sort_keys=True)


def _flags(values):
    """Alternatives in one order: how they are nested and sorted is the version's choice, their meaning is not."""

    def flat(parts):
        for part in parts:
            if isinstance(part, dict) and set(part) == {"|"}:
                yield from flat(part["|"])
            else:
                yield _value(part)

    return "(%s)" % " | ".join(sorted(flat(values)))


def _element(element):
    if isinstance(element, list) and len(element) == 2:
        return "%s : %s" % (_value(element[0]), _value(element[1]))
    return _value(element)


def _list(value):
    return value if isinstance(value, list) else [] if value is None else [value]


def iptables(text, family):
    """As nft(), of iptables-save output; family is "iptables" or "ip6tables". Also the table names it holds: key "tables"."""
    chains, rules, table, tables = {}, [], "", []
    for line in text.splitlines():
        if line.startswith("*"):
            table = line[1:].strip()
            tables.append(table)
        elif line.startswith(":"):
            name, policy = line[1:].split()[:2]
            if not engine_chain(name) and not BANS.match(name):
                chains["%s %s %s" % (family, table, name)] = {"policy": policy} if policy != "-" else {}
        elif line.startswith("-A "):
            chain, _blank, rule = line[3:].partition(" ")
            rule = re.sub(r"^\[\d+:\d+\] ", "", rule).strip()
            if not engine_rule(chain, rule) and not re.search(r"-j (f2b-\S+)", rule):
                rules.append(("%s %s %s" % (family, table, chain), rule))
    return {"chains": chains, "rules": rules, "sets": {}, "tables": tables}


def ipset(text):
    """{"ipset NAME": {type, elements}} of ipset save; sets with a timeout keep no elements."""
    sets = {}
    for line in text.splitlines():
        words = line.split()
        if words[:1] == ["create"] and len(words) > 2 and not BANS.match(words[1]):
            sets["ipset " + words[1]] = {"type": words[2], "elements": None if "timeout" in words else []}
        elif words[:1] == ["add"] and len(words) > 2:
            known = sets.get("ipset " + words[1])
            if known and known["elements"] is not None:
                known["elements"].append(" ".join(words[2:]))
    for entry in sets.values():
        if entry["elements"]:
            entry["elements"].sort()
    return sets
