# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What apt-get says in a simulation, as data: pure. Samples of its output are in the tests."""

from __future__ import annotations

import re

# Inst NAME[:ARCH] [OLD] (NEW ORIGIN, ORIGIN [ARCH]) [...]      Remv NAME[:ARCH] [OLD] [...]
_INST = re.compile(r"^Inst (\S+)(?: \[([^\]\s]+)\])? \((\S+) (.*?)\[(\w+)\]\)")
_REMV = re.compile(r"^(?:Remv|Purg) (\S+) \[([^\]\s]+)\]")
_URI = re.compile(r"^'([^']+)' (\S+) (\d+)(?: (\S+))?$")
_FETCHED = re.compile(r"^Fetched ([\d.,]+) ([kMG]?)B in .*\(([\d.,]+) ([kMG]?)B/s\)", re.M)
_UNIT = {"": 1, "k": 1e3, "M": 1e6, "G": 1e9}


def _name(word, arch=""):
    name, _colon, foreign = word.partition(":")
    return name, foreign or arch


def transaction(text):
    """{"upgrade": [{name, arch, from, to, origin}], "install": [{name, arch, to, origin}], "remove": [{name, arch, from}]}.

    text: output of apt-get -s. Order as apt will do it. A package that is unpacked twice is listed once, and one that makes way for a moment (Debian 11's
    cron for 12's: Remv, then Inst of the same package) is not removed.
    """
    out = {"upgrade": [], "install": [], "remove": []}
    seen = set()
    for line in text.splitlines():
        match = _INST.match(line)
        if match:
            word, old, new, origin, arch = match.groups()
            seen.add(("word", word))
            name, arch = _name(word, arch)
            if ("inst", name, arch) in seen:
                continue
            seen.add(("inst", name, arch))
            entry = {"name": name, "arch": arch, "to": new, "origin": origin.strip().rstrip(",")}
            if old:
                out["upgrade"].append(dict(entry, **{"from": old}))
            else:
                out["install"].append(entry)
            continue
        match = _REMV.match(line)
        if match:
            name, arch = _name(match.group(1))
            if ("remv", name, arch) not in seen:
                seen.add(("remv", name, arch))
                out["remove"].append({"name": name, "arch": arch, "from": match.group(2)})
    out["remove"] = [e for e in out["remove"] if ("word", e["name"] + (":" + e["arch"] if e["arch"] else "")) not in seen]
    return out


def kept_back(text):
    """Names that apt says it keeps back, held ones included."""
    names, inside = [], False
    for line in text.splitlines():
        if line.startswith(("The following packages have been kept back", "Not upgrading:")):
            inside = True
        elif inside and line.startswith(" "):
            names += line.split()
        else:
            inside = False
    return [_name(n)[0] for n in names]


# Headings of apt-get -V, of apt 2 and of apt 3.
_HEADINGS = (
    ("remove", ("The following packages will be REMOVED", "REMOVING:")),
    ("install", ("The following NEW packages will be installed", "Installing:", "Installing dependencies:")),
    ("upgrade", ("The following packages will be upgraded", "Upgrading:")),
)


def announced(text):
    """The same as transaction(), from apt-get -V --assume-no: quick, as apt puts nothing in order. No origins; arch only where foreign."""
    out = {"upgrade": [], "install": [], "remove": []}
    kind = None
    for line in text.splitlines():
        if not line.startswith(" "):
            kind = next((name for name, words in _HEADINGS if line.startswith(words)), None)
            continue
        match = re.match(r"^\s+(\S+?)\*? \((\S+)(?: => (\S+))?\)$", line)
        if not kind or not match:
            continue
        name, arch = _name(match.group(1))
        versions = {"from": match.group(2), "to": match.group(3)} if kind == "upgrade" else {"from" if kind == "remove" else "to": match.group(2)}
        out[kind].append(dict(versions, name=name, arch=arch))
    return out


def archives(text):
    """[{uri, file, size, hash}] from apt-get --print-uris; the hash is empty where the archive offers no md5."""
    out = []
    for line in text.splitlines():
        match = _URI.match(line.strip())
        if match:
            out.append({"uri": match.group(1), "file": match.group(2), "size": int(match.group(3)), "hash": match.group(4) or ""})
    return out


def stanzas(text):
    """Records of apt-cache show or dpkg's status as dicts, keys lower case, continued lines joined by newlines."""
    out, current, key = [], {}, None
    for line in text.splitlines() + [""]:
        if not line.strip():
            if current:
                out.append(current)
            current, key = {}, None
        elif line[0] in " \t" and key:
            current[key] += "\n" + line[1:]
        elif ":" in line:
            key, value = line.split(":", 1)
            key = key.strip().lower()
            current[key] = value.strip()
    return out


def conffiles(text):
    """{package: {path: md5}} from dpkg-query -W -f '${Package}\\t${Conffiles}\\n\\n'-like records; obsolete ones are left out.

    text: records divided by a line with a single dot; first line the name and status, then ' PATH MD5 [flags]'.
    """
    out = {}
    for record in text.split("\n.\n"):
        lines = record.strip("\n").split("\n")
        head = lines[0].split()
        if len(head) < 2 or not head[1].startswith("i"):
            continue
        for line in lines[1:]:
            parts = line.strip().rsplit(" ", 2)
            if parts[-1] in ("obsolete", "remove-on-upgrade"):
                continue
            path, _space, md5 = line.strip().rpartition(" ")
            if path.startswith("/"):
                out.setdefault(head[0], {})[path] = md5
    return out


def question(recorded, disk, new):
    """Whether dpkg would ask about a conffile, by md5: recorded by the installed package, on disk (None: deleted), in the new package.

    dpkg asks when both sides changed and differently (dpkg(1), --force-confold).
    """
    if new is None:
        return False
    return disk != recorded and new != recorded and disk != new


def problems(text):
    """Lines in which apt says why it cannot do a thing, without its prefixes."""
    out = []
    for line in text.splitlines():
        wrong = line.startswith(("E:", "W:", "Err:")) or "Unmet dependencies" in line
        if wrong or (line.startswith(" ") and ("Depends:" in line or "Breaks:" in line)):
            out.append(re.sub(r"^[EW]: *(Error: *)?", "", line).strip())
    return out


def fetched(text):
    """{bytes, bytes_per_second} of what apt-get update says that it fetched, {} when it fetched nothing."""
    found = _FETCHED.search(text)
    if not found:
        return {}
    count, unit, pace, per = found.groups()
    return {"bytes": float(count.replace(",", "")) * _UNIT[unit], "bytes_per_second": float(pace.replace(",", "")) * _UNIT[per]}
