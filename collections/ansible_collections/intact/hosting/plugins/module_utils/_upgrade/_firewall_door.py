# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A door in the host's firewalls: some addresses reach one TCP port. Own rules with a comment in the live rulesets, never in the operator's files."""

from __future__ import annotations

import ipaddress
import json
import shlex

from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# Where a packet to this host, or its answer, can be dropped; True: the answer.
HOOKS = {"prerouting": False, "input": False, "output": True, "postrouting": True}
FAMILIES = {"ip": (4,), "ip6": (6,), "inet": (4, 6), "bridge": (4, 6)}
TABLES = ("raw", "mangle", "filter", "security")
DROPS = ("DROP", "REJECT", "NFQUEUE", "TARPIT")
PROGRAMS = (("ip", "iptables"), ("ip6", "ip6tables"))


def of_version(addresses, versions):
    """The addresses and networks among these that are of some IP versions, as text. Pure."""
    return [text for text in addresses if ipaddress.ip_network(text, strict=False).version in versions]


def _walk(value):
    """All (key, value) pairs anywhere in a JSON value."""
    if isinstance(value, dict):
        for key, inner in value.items():
            yield key, inner
            yield from _walk(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _walk(inner)


def drops(chain, rules, seen=()):
    """Whether a chain of nftables could drop a packet: its policy, a rule, or a chain that it jumps to. Pure.

    chain: (family, table, name). rules: {chain: [expressions of its rules]}.
    """
    for key, inner in _walk(rules.get(chain, [])):
        # What a map of verdicts or a foreign match says is not in the rule itself.
        if key in ("drop", "reject", "queue", "xt") or (key == "vmap" and isinstance(inner, dict) and isinstance(inner.get("data"), str)):
            return True
        if key in ("jump", "goto"):
            there = chain[:2] + (inner["target"],)
            if there not in seen and drops(there, rules, tuple(seen) + (there,)):
                return True
    return False


def expressions(versions, addresses, port, answer):
    """Expressions of the rules for a chain that sees these IP versions, one rule for each version that addresses has. Pure."""
    out = []
    for version in versions:
        of = [ipaddress.ip_network(text, strict=False) for text in of_version(addresses, (version,))]
        if not of:
            continue
        words = [str(n.network_address) if n.num_addresses == 1 else {"prefix": {"addr": str(n.network_address), "len": n.prefixlen}} for n in of]
        left = {"payload": {"protocol": "ip" if version == 4 else "ip6", "field": "daddr" if answer else "saddr"}}
        where = {"payload": {"protocol": "tcp", "field": "sport" if answer else "dport"}}
        right = words[0] if len(words) == 1 else {"set": words}
        out.append([{"match": {"op": "==", "left": left, "right": right}}, {"match": {"op": "==", "left": where, "right": port}}, {"accept": None}])
    return out


def _same(ours, theirs):
    """Whether expressions, as nft lists them, are those that were asked for: sets come back in another order."""

    def text(value):
        if isinstance(value, dict) and set(value) == {"set"}:
            return "{%s}" % " ".join(sorted(text(v) for v in value["set"]))
        if isinstance(value, dict):
            return "(%s)" % " ".join("%s %s" % (k, text(value[k])) for k in sorted(value))
        return "[%s]" % " ".join(text(v) for v in value) if isinstance(value, list) else str(value)

    return text(ours) == text(theirs)


class Nft:
    """The door in nftables. handled: chains (family, table, name) that belong to iptables."""

    def __init__(self, run, comment, handled=()):
        self.run, self.comment, self.handled = run, comment, set(handled)
        self.chains, self.rules = {}, {}

    def look(self):
        """Read the ruleset."""
        said = self.run(["nft", "-j", "list", "ruleset"], check=False, timeout=120)
        if said.rc != 0:
            raise IntactError("nft cannot list the ruleset: %s" % (said.error or "status %d" % said.rc))
        self.chains, self.rules = {}, {}
        for entry in json.loads(said.text or "{}").get("nftables", []):
            chain, rule = entry.get("chain"), entry.get("rule")
            if chain and chain.get("hook"):
                self.chains[(chain["family"], chain["table"], chain["name"])] = chain
            elif rule:
                self.rules.setdefault((rule["family"], rule["table"], rule["chain"]), []).append(rule)
        return self

    def ours(self, name):
        """Our rules in a chain."""
        return [rule for rule in self.rules.get(name, []) if rule.get("comment") == self.comment]

    def wanted(self, port, addresses):
        """{chain: [expressions]}: what must be at the top of each chain that could drop."""
        out, plain = {}, {name: [r.get("expr", []) for r in rules if r.get("comment") != self.comment] for name, rules in self.rules.items()}
        for name, chain in self.chains.items():
            if name in self.handled or chain.get("type") != "filter" or chain["hook"] not in HOOKS or name[0] not in FAMILIES:
                continue
            rules = expressions(FAMILIES[name[0]], addresses, port, HOOKS[chain["hook"]])
            if rules and (chain.get("policy") == "drop" or drops(name, plain)):
                out[name] = rules
        return out

    def missing(self, port, addresses):
        """[(chain, expressions)] of the chains that do not have exactly what they should at their top."""
        out = []
        for name, rules in self.wanted(port, addresses).items():
            top = self.rules.get(name, [])[: len(rules)]
            sound = len(self.ours(name)) == len(rules) == len(top) and all(r.get("comment") == self.comment for r in top)
            if not sound or not all(_same(want, rule.get("expr")) for want, rule in zip(rules, top)):
                out.append((name, rules))
        return out

    def _apply(self, commands):
        if commands:
            said = self.run(["nft", "-j", "-f", "-"], check=False, timeout=120, stdin=json.dumps({"nftables": commands}).encode())
            if said.rc != 0:
                raise IntactError("nft refused a rule: %s" % (said.error.splitlines() or ["status %d" % said.rc])[0])

    def _deletions(self, names):
        return [
            {"delete": {"rule": {"family": name[0], "table": name[1], "chain": name[2], "handle": rule["handle"]}}}
            for name in names
            for rule in self.ours(name)
        ]

    def open(self, port, addresses):
        """Put the rules in, all at once; returns the chains' names."""
        todo = self.missing(port, addresses)
        commands = self._deletions([name for name, _rules in todo])
        for name, rules in todo:
            for expr in reversed(rules):
                rule = {"family": name[0], "table": name[1], "chain": name[2], "expr": expr, "comment": self.comment}
                commands.append({"insert": {"rule": rule}})
        self._apply(commands)
        return [" ".join(name) for name, _rules in todo]

    def close(self):
        """Take exactly our rules out; returns the chains' names."""
        names = [name for name in self.rules if self.ours(name)]
        self._apply(self._deletions(names))
        return [" ".join(name) for name in names]


def parse_save(text):
    """What iptables-save prints: {table: {chain: (policy, [rule's words])}}. Pure."""
    tables, table = {}, None
    for line in text.splitlines():
        if line.startswith("*"):
            table = tables.setdefault(line[1:].strip(), {})
        elif line.startswith(":") and table is not None:
            words = line[1:].split()
            table[words[0]] = (words[1], [])
        elif line.startswith("-A ") and table is not None:
            words = shlex.split(line)
            table[words[1]][1].append(words)
    return tables


def iptables_drops(table, name, seen=()):
    """Whether a chain of iptables could drop a packet. table: {chain: (policy, rules)}. Pure."""
    policy, rules = table[name]
    if policy in DROPS:
        return True
    for words in rules:
        target = next((words[i + 1] for i, word in enumerate(words[:-1]) if word in ("-j", "-g", "--jump", "--goto")), "")
        if target in DROPS or (target in table and target not in seen and iptables_drops(table, target, tuple(seen) + (target,))):
            return True
    return False


class Iptables:
    """The door in one kind of iptables. program: its name, e.g. ip6tables-nft."""

    def __init__(self, run, comment, family, program):
        self.run, self.comment, self.family, self.program = run, comment, family, program
        self.tables = {}

    def look(self):
        """Read the tables that exist; asking for others would make them."""
        self.tables = parse_save(self.run([self.program + "-save"], check=False, timeout=120).text)
        return self

    def chains(self):
        """(family, table, name) of the chains that have a policy, in the tables that may drop."""
        return [(self.family, table, name) for table in TABLES for name, (policy, _r) in self.tables.get(table, {}).items() if policy != "-"]

    def _is_ours(self, words):
        return self.comment in words

    def missing(self, port, addresses):
        """[(table, chain, [rule's words])] of the chains that do not have exactly what they should at their top."""
        addresses, out = of_version(addresses, (4,) if self.family == "ip" else (6,)), []
        for _family, table, name in self.chains() if addresses else []:
            chains = {key: (p, [w for w in rules if not self._is_ours(w)]) for key, (p, rules) in self.tables[table].items()}
            if name.lower() not in HOOKS or not iptables_drops(chains, name):
                continue
            rules, found = [self._rule(HOOKS[name.lower()], address, port) for address in addresses], self.tables[table][name][1]
            ours = [words for words in found if self._is_ours(words)]
            if len(ours) != len(rules) or ours != found[: len(rules)] or not all(_told(w, r) for w, r in zip(ours, rules)):
                out.append((table, name, rules))
        return out

    def _rule(self, answer, address, port):
        words = ["-d" if answer else "-s", str(ipaddress.ip_network(address, strict=False)), "-p", "tcp", "-m", "tcp", "--sport" if answer else "--dport"]
        return words + [str(port), "-m", "comment", "--comment", self.comment, "-j", "ACCEPT"]

    def _call(self, *words):
        said = self.run([self.program, "-w", "10"] + list(words), check=False, timeout=60)
        if said.rc != 0:
            raise IntactError("%s refused a rule: %s" % (self.program, (said.error.splitlines() or ["status %d" % said.rc])[0]))

    def _remove(self, table, name):
        for words in [w for w in self.tables[table][name][1] if self._is_ours(w)]:
            self._call("-t", table, "-D", *words[1:])

    def open(self, port, addresses):
        """Put the rules in; returns the chains' names."""
        todo = self.missing(port, addresses)
        for table, name, rules in todo:
            self._remove(table, name)
            for rule in reversed(rules):
                self._call("-t", table, "-I", name, "1", *rule)
        return ["%s %s %s" % (self.program, table, name) for table, name, _rules in todo]

    def close(self):
        """Take exactly our rules out; returns the chains' names."""
        todo = [(t, n) for t, chains in self.tables.items() for n, (_p, rules) in chains.items() if any(self._is_ours(w) for w in rules)]
        for table, name in todo:
            self._remove(table, name)
        return ["%s %s %s" % (self.program, table, name) for table, name in todo]


def _told(words, rule):
    """Whether a rule as iptables-save tells it is the one that was asked for: it orders the words its own way."""
    return sorted(words[2:]) == sorted(rule)


def firewalls(run, comment):
    """The firewalls of this host as they are now, each read once."""
    out, handled = [], []
    for family, name in PROGRAMS:
        kinds = [name + kind for kind in ("-nft", "-legacy") if which(name + kind + "-save")] or ([name] if which(name + "-save") else [])
        for program in kinds:
            there = Iptables(run, comment, family, program).look()
            if there.tables:
                out.append(there)
                # Its rules must be made by itself: it does not understand all that nft can write into its tables.
                handled += there.chains()
    if which("nft"):
        out.append(Nft(run, comment, handled).look())
    return out


def open_door(run, comment, port, addresses):
    """Let addresses (IPv4, IPv6, networks) reach a TCP port; returns the chains that got a rule now. Repeating it changes nothing."""
    opened = [name for firewall in firewalls(run, comment) for name in firewall.open(port, addresses)]
    left = missing(run, comment, port, addresses)
    if left:
        raise IntactError("the firewall does not keep a rule that was just set: %s" % ", ".join(left))
    return opened


def missing(run, comment, port, addresses):
    """Names of the chains that could drop and do not let the addresses in."""
    return [" ".join(entry[0]) if isinstance(entry[0], tuple) else " ".join(entry[:2]) for f in firewalls(run, comment) for entry in f.missing(port, addresses)]


def close_door(run, comment):
    """Take our rules out of all chains; returns those that had one."""
    return [name for firewall in firewalls(run, comment) for name in firewall.close()]
