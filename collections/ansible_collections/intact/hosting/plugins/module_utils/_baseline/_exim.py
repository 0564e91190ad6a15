# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Exim: which program it is, its settings, the tables of Debian's configuration, its queue and what its log says of it."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape

ALIASES = "/etc/aliases"
HUBBED = "/etc/exim4/hubbed_hosts"
CONF = "/etc/exim4/update-exim4.conf.conf"
SPOOL = "/var/spool/exim4"
# lists of domains in CONF, and what their entries are called
DOMAINS = {"dc_other_hostnames": "local", "dc_relay_domains": "relay"}
DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
ID = r"[0-9A-Za-z]{6}-[0-9A-Za-z]{6,11}-[0-9A-Za-z]{2,4}"
GONE = re.compile(r" (%s) Completed" % ID)
DELETED = re.compile(r" (%s) (?:removed|cancelled) by " % ID)
HEAD = re.compile(r"^\s*(\d+[smhdw])\s+(\S+)\s+(%s)\s+<([^>]*)>(.*)$" % ID)


def program(system):
    """exim4, exim, or "" where it is not installed."""
    return next((name for name in ("exim4", "exim") if system.which(name)), "")


def settings(system, names):
    """{name: value} as Exim itself says; names that it does not know are left out."""
    text = system.run([program(system), "-bP"] + list(names), check=False).text
    return {name.strip(): value.strip() for name, equals, value in (line.partition("=") for line in text.splitlines()) if equals}


def entries(text):
    """[(key, value)] of a file that lsearch reads: "key: value" or "key value", longer ones over indented lines, comments and blanks left out."""
    out = []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[:1] in " \t":
            if out:
                out[-1] = (out[-1][0], out[-1][1] + " " + line.strip())
            continue
        match = re.match(r'("(?:[^"\\]|\\.)*"|[^:\s]+)\s*(?::\s*|\s+|$)(.*)$', line)
        if match:
            out.append((match.group(1).strip('"'), match.group(2).strip()))
    return out


def configured(text):
    """{dc_name: value} of update-exim4.conf.conf."""
    return dict(re.findall(r"^(dc_\w+)='([^']*)'", text, re.MULTILINE))


def items(system):
    """Items of the mail section: "alias NAME", "domain NAME", "transport NAME", and "exim SETTING" of Debian's own configuration."""
    out = {}
    for kind, path in (("alias", ALIASES), ("transport", HUBBED)):
        for name, value in entries(system.text(path)):
            parts = sorted(part for part in re.split(r",\s*", value) if part) if kind == "alias" else [value]
            out["%s %s" % (kind, escape(name))] = {"kind": "map entry", "value": escape(", ".join(parts)), "path": path}
    for name, value in configured(system.text(CONF)).items():
        if name not in DOMAINS:
            out["exim %s" % name] = {"kind": "setting", "value": escape(value), "path": CONF}
            continue
        for domain in re.split(r"\s*[:;]\s*", value):
            if domain:
                out["domain %s" % escape(domain)] = {"kind": "map entry", "value": DOMAINS[name], "path": CONF}
    return out


def arrived(queue_id):
    """Seconds since 1970 when a message came, which the first six characters of its id say."""
    seconds = 0
    for character in queue_id[:6]:
        seconds = seconds * 62 + DIGITS.index(character)
    return seconds


def queue(system):
    """{queue id: {sender, recipients, arrived, size, held, reason}} as exim -bp lists it."""
    found, current = {}, None
    for line in system.run([program(system), "-bp"], check=False).text.splitlines():
        head = HEAD.match(line)
        if head:
            unit = {"K": 1024, "M": 2**20}.get(head.group(2)[-1], 1)
            current = found[head.group(3)] = {
                "sender": escape(head.group(4)),
                "recipients": [],
                "arrived": arrived(head.group(3)),
                "size": int(float(head.group(2).rstrip("KM")) * unit),
                "held": "frozen" in head.group(5),
                "reason": "",
            }
        elif line.strip() and current is not None and not line.strip().startswith("D "):
            current["recipients"].append(escape(line.strip()))
    return found
