# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Who listens where: TCP and UDP, per address, with the program's name and its unit."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

SECTION = "sockets"
_USER = re.compile(r'\("((?:[^"\\]|\\.)*)",pid=(\d+),fd=\d+\)')
_VERSIONED = re.compile(r"^(.*[a-z])-?[0-9]+(\.[0-9]+)*$")
# Interpreters and daemons that carry a version in their name; others (log4j2, md5...) keep their digits.
_STEMS = ("python", "php-fpm", "ruby", "perl", "java", "node")
ANY = {"0.0.0.0": "[::]", "[::]": "0.0.0.0"}


def capture(system):
    """Items "tcp ADDRESS:PORT PROGRAM": {proto address port program unit}. A socket for both families counts as two.

    Left out: UDP ports of the kernel's random range that a program holds (sources of its own questions), except those in option udp_ports.
    """
    low = int((system.text("/proc/sys/net/ipv4/ip_local_port_range").split() or ["32768"])[0])
    fixed = {int(port) for port in system.options.get("udp_ports") or []}
    items, daemons = {}, None
    for line in system.run(["ss", "-H", "-l", "-n", "-t", "-u", "-p", "-e"], timeout=30).text.splitlines():
        entry = parse(line)
        if entry is None or entry.pop("outside"):
            continue
        if not entry["program"] and entry["unit"]:
            # without the right to trace other users' processes (containers), ss gives no program: the unit's main process is it
            daemons = _daemons(system) if daemons is None else daemons
            entry["program"] = daemons.get(entry["unit"], "")
        if entry["proto"] == "udp" and entry["port"] >= low and entry["program"] and entry["port"] not in fixed:
            continue
        both = entry.pop("both")
        for address in ("0.0.0.0", "[::]") if both else (entry["address"],):
            items["%s %s:%d %s" % (entry["proto"], address, entry["port"], entry["program"] or "(kernel)")] = dict(entry, address=address.strip("[]"))
    return {"items": items, "summary": {"tcp": sum(i["proto"] == "tcp" for i in items.values()), "udp": sum(i["proto"] == "udp" for i in items.values())}}


def parse(line):
    """One line of ss -H -l -n -t -u -p -e as {proto address port program unit both outside}, or None.

    outside: held by a process outside of this container (the engine's name server), on a port that is new at each start.
    """
    fields = line.split()
    if len(fields) < 6 or fields[0] not in ("tcp", "udp"):
        return None
    address, _colon, port = fields[4].rpartition(":")
    if not port.isdigit():
        return None
    if address.startswith("[fe80:"):
        # follows the hardware address; the interface is what counts
        address = "[fe80::%" + address.split("%")[-1].rstrip("]") + "]"
    address = address if address.startswith("[fe80:") else address.split("%")[0]
    users = _USER.findall(line)
    names = {stem(name) for name, pid in users if pid != "1"} or {name for name, _pid in users}
    group = next((f[7:] for f in fields[6:] if f.startswith("cgroup:")), "")
    both = address == "*" or (address == "[::]" and "v6only:0" in fields)
    return {
        "proto": fields[0],
        "address": address,
        "port": int(port),
        "program": "+".join(sorted(names)),
        "unit": unit(group),
        "both": both,
        "outside": group.startswith("unreachable") and not users,
    }


def _daemons(system):
    """{unit: program name of its main process}: the process in the unit's control group that PID 1 started, else the first."""
    found = {}
    for path in system.glob("/proc/[0-9]*/cgroup"):
        pid = path.split("/")[2]
        text = system.text(path)
        # the systemd hierarchy is "0::" on cgroup 2 and name=systemd on cgroup 1
        groups = {unit(line.split(":", 2)[2]) for line in text.splitlines() if line.count(":") > 1} - {""}
        stat = system.text("/proc/%s/stat" % pid)
        if not groups or ")" not in stat:
            continue
        name, rest = stat[stat.index("(") + 1 : stat.rindex(")")], stat[stat.rindex(")") + 2 :].split()
        for group in groups:
            found.setdefault(group, []).append((rest[1] != "1", int(pid), stem(name)))
    return {group: min(processes)[2] for group, processes in found.items()}


def stem(name):
    """A program's name without its version: python3.11 and python3.13 are the same listener."""
    match = _VERSIONED.match(name)
    return match.group(1).rstrip("-") if match and match.group(1).rstrip("-").startswith(_STEMS) else name


def unit(group):
    """The unit a control group belongs to: the last part that is one."""
    parts = [part for part in group.split("/") if part.endswith((".service", ".socket", ".scope"))]
    return parts[-1] if parts else ""


def compare(before, after):
    """Findings: sockets.{missing,new}, sockets.ipv6.lost, sockets.ipv4.lost, sockets.program.changed, sockets.address.changed."""
    old, new = before.get("items", {}), after.get("items", {})
    gone, come = [s for s in sorted(old) if s not in new], [s for s in sorted(new) if s not in old]
    out = []
    for subject in list(gone):
        was = old[subject]
        same = [s for s in come if all(new[s][k] == was[k] for k in ("proto", "address", "port"))]
        moved = [s for s in come if all(new[s][k] == was[k] for k in ("proto", "port", "program"))]
        if same and _family(was["unit"]) and _family(was["unit"]) == _family(new[same[0]]["unit"]):
            # systemd holds the listener for this very service, which is started by the first connection
            come.remove(same[0])
        elif same:
            out.append(
                _finding(
                    "program.changed",
                    "blocker",
                    subject,
                    "another program listens here: %s" % (new[same[0]]["program"] or "the kernel"),
                    was,
                    new[same[0]],
                    "program",
                )
            )
            come.remove(same[0])
        elif moved and not _twin(was, new):
            wider = new[moved[0]]["address"] in ("0.0.0.0", "::")
            out.append(
                _finding(
                    "address.changed",
                    "blocker",
                    subject,
                    "listens on %s now%s" % (new[moved[0]]["address"], ": open to everybody who can reach the host" if wider else ""),
                    was,
                    new[moved[0]],
                    "address",
                )
            )
            come.remove(moved[0])
        elif _twin(was, new):
            family = "ipv6" if ":" in was["address"] else "ipv4"
            out.append(
                _finding(
                    "%s.lost" % family,
                    "blocker",
                    subject,
                    "no longer listens on %s, only on %s" % (("IPv6", "IPv4") if family == "ipv6" else ("IPv4", "IPv6")),
                    was,
                    None,
                    "address",
                )
            )
        else:
            out.append(_finding("missing", "blocker", subject, "nobody listens here any more", was, None, ""))
    for subject in come:
        out.append(_finding("new", "warning", subject, "a new listener", None, new[subject], ""))
    return _together(out)


def _together(findings):
    """One event, one finding: both families and protocols of one port; all ports of a program that lost a family or became another."""
    groups = {}
    for finding in findings:
        found = finding.details
        which = found["port"] if found["change"] in ("missing", "new") and not found["attribute"] else found["after"]
        groups.setdefault((finding.id, found["program"], which), []).append(finding)
    out = []
    for group in groups.values():
        first = min(group, key=lambda f: (f.details["port"], f.subject.startswith("udp"), f.subject))
        others = [f for f in group if f is not first]
        if others:
            first.evidence += "; the same for %s" % ", ".join(f.subject for f in others)
            first.covers += [entry for f in others for entry in f.covers]
            first.details["also"] = [f.subject for f in others]
        out.append(first)
    return out


def _family(name):
    """mariadb for mariadb.service and mariadb.socket, "" without a unit."""
    return name.rsplit(".", 1)[0].split("@")[0]


def _twin(was, new):
    """Whether the same program still listens on the same port of the other family's wildcard."""
    other = {"0.0.0.0": "::", "::": "0.0.0.0"}.get(was["address"])
    return any(other and i["address"] == other and all(i[k] == was[k] for k in ("proto", "port", "program")) for i in new.values())


def _finding(name, severity, subject, title, was, now, attribute):
    shown = was or now
    change = "new" if was is None else "changed" if now else "missing"
    return Finding(
        id="sockets." + name,
        severity=severity,
        subject=subject,
        check="QF09",
        title=title,
        evidence="before: %s; now: %s"
        % tuple("%s by %s (%s)" % (_place(i)[7:], i["program"] or "the kernel", i["unit"] or "no unit") if i else "nothing" for i in (was, now)),
        remedy="expected? then allow it with a reason; else find out what started it and who may reach it"
        if was is None
        else "look at the state and the listen lines of %s" % (shown["unit"] or shown["program"] or "the kernel service"),
        details=details(
            change,
            attribute,
            was[attribute] if was and attribute else None,
            now[attribute] if now and attribute else None,
            unit=shown["unit"],
            program=shown["program"],
            address=shown["address"],
            port=shown["port"],
        ),
        # what answered on a listener that is gone says so by this name (sites, mail ports, tls)
        covers=[{"section": "*", "path": _place(was)}] if was else [],
    )


def _place(item):
    address = "[%s]" % item["address"] if ":" in item["address"] else item["address"]
    return "socket:%s:%s" % (address, item["port"])
