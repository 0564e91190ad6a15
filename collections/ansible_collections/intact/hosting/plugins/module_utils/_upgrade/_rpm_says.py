# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What RPM package managers say, as data: pure. Samples of their output, taken from real runs, are in the tests."""

from __future__ import annotations

import re
from xml.etree import ElementTree

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# What rpm -qa is asked for, and what installed() reads.
QUERY = r"%{NAME}\t%{ARCH}\t%{EPOCHNUM}\t%{VERSION}-%{RELEASE}\t%{SIZE}\t%{INSTALLTID}\t%{DBINSTANCE}\t%|POSTTRANS?{1}:{%|POSTTRANSPROG?{1}:{0}|}|\n"
# Of these several versions are installed side by side on purpose.
BESIDE = re.compile(r"^(gpg-pubkey|kernel(-.*)?|kmod-.*)$")
_EVR = re.compile(r"^(?:(\d+):)?(.+?)(?:-([^-]+))?$")
# Headings of dnf 4 and of dnf5, each with the part of the transaction that it begins.
_HEADINGS = {
    "Installing": "install",
    "Installing dependencies": "install",
    "Installing weak dependencies": "install",
    "Installing group/module packages": "install",
    "Installing groups": "",
    "Reinstalling": "",
    "Upgrading": "upgrade",
    "Downgrading": "upgrade",
    "Removing": "remove",
    "Removing dependent packages": "remove",
    "Removing unused dependencies": "remove",
    "Skipping packages with conflicts": "skip",
    "Skipping packages with broken dependencies": "skip",
}


def evr(epoch, version):
    """The version as dnf writes it: the epoch only where there is one."""
    return version if epoch in ("", "0", "(none)") else "%s:%s" % (epoch, version)


def installed(text):
    """[{name, arch, version, bytes, order, late}] from rpm -qa with QUERY.

    order: (seconds since 1970 of its transaction, number in the database): which of two came later. late: it has a script for the transaction's end.
    """
    out = []
    for line in text.splitlines():
        parts = line.split("\t")
        if len(parts) == 8 and parts[0] != "gpg-pubkey":
            name, arch, epoch, version, size, tid, instance, late = parts
            number = [int(word) if word.isdigit() else 0 for word in (size, tid, instance)]
            entry = {"name": name, "arch": arch, "version": evr(epoch, version), "bytes": number[0], "order": (number[1], number[2]), "late": late == "1"}
            out.append(entry)
    return out


def duplicates(packages, beside=()):
    """Packages of installed() of which a later one took the place: what a cut transaction did not come to remove. Oldest first.

    beside: names of which several versions are meant to be installed.
    """
    groups = {}
    for entry in packages:
        if not BESIDE.match(entry["name"]) and entry["name"] not in beside:
            groups.setdefault((entry["name"], entry["arch"]), []).append(entry)
    return [entry for group in groups.values() for entry in sorted(group, key=lambda e: e["order"])[:-1]]


def nevra(entry):
    """What rpm calls one of several versions of a package: NAME-VERSION-RELEASE.ARCH."""
    return "%s-%s.%s" % (entry["name"], entry["version"].split(":", 1)[-1], entry["arch"])


def cut_short(packages, began):
    """{package: script} whose scripts a cut may have kept from running: the last that came, and those that have one for the end of its transaction.

    packages: installed() of now. began: when the command that was cut began, in seconds since 1970.
    """
    new = [entry for entry in packages if entry["order"][0] >= began]
    if not new:
        return {}
    last = max(new, key=lambda e: e["order"])
    out = {nevra(e): "posttrans" for e in new if e["late"] and e["order"][0] == last["order"][0]}
    return dict(out, **{nevra(last): "post"})


def _segments(text):
    return re.findall(r"\d+|[a-zA-Z]+|~|\^", text)


def _compare(left, right):
    """-1, 0 or 1 as rpm compares two versions or releases: numbers beat letters, ~ is before the end, ^ after it."""
    one, two = _segments(left), _segments(right)
    for index in range(max(len(one), len(two))):
        a, b = (part[index] if index < len(part) else "" for part in (one, two))
        if a == b:
            continue
        for mark, first in (("~", -1), ("^", None)):
            if mark in (a, b):
                if first is not None:
                    return first if a == mark else -first
                # After the end, but before anything else that goes on.
                mine, other = (a, b) if a == mark else (b, a)
                sign = 1 if other == "" else -1
                return sign if mine == a and a == mark else -sign
        if not a or not b:
            return 1 if a else -1
        if a.isdigit() != b.isdigit():
            return 1 if a.isdigit() else -1
        left_key, right_key = (int(a), int(b)) if a.isdigit() else (a, b)
        if left_key != right_key:
            return 1 if left_key > right_key else -1
    return 0


def older(version, wanted):
    """Whether [EPOCH:]VERSION[-RELEASE] is lower than another; a release that one of them lacks does not count."""
    one, two = (_EVR.match(text).groups(default="") for text in (version, wanted))
    for a, b in ((str(int(one[0] or 0)), str(int(two[0] or 0))), (one[1], two[1]), (one[2], two[2]) if one[2] and two[2] else ("", "")):
        order = _compare(a, b)
        if order:
            return order < 0
    return False


def empty():
    """A transaction that does nothing; the same shape as _simulate.transaction's, with obsoletes {old name: new name}."""
    return {"upgrade": [], "install": [], "remove": [], "obsoletes": {}, "skipped": []}


def _known(packages):
    out = {}
    for entry in sorted(packages, key=lambda e: e["order"]):
        out[entry["name"], entry["arch"]] = entry["version"]
        out.setdefault(entry["name"], entry["version"])
    return out


def _add(out, kind, name, arch, version, origin, known):
    if kind == "upgrade":
        out["upgrade"].append({"name": name, "arch": arch, "from": known.get((name, arch)) or known.get(name, ""), "to": version, "origin": origin})
    elif kind == "install":
        out["install"].append({"name": name, "arch": arch, "to": version, "origin": origin})
    elif kind == "remove":
        out["remove"].append({"name": name, "arch": arch, "from": version})
    elif kind == "skip":
        out["skipped"].append(name)


def _replacing(out, words, newcomer):
    """Note what dnf says that a new package takes the place of: NAME.ARCH VERSION (dnf 4) or NAME ARCH VERSION REPO SIZE UNIT (dnf5)."""
    if len(words) == 2:
        name, _dot, arch = words[0].rpartition(".")
        version = words[1]
    else:
        name, arch, version = words[:3]
    if name != newcomer:
        out["obsoletes"][name] = newcomer
        if not any(e["name"] == name and e["arch"] == arch for e in out["remove"]):
            out["remove"].append({"name": name, "arch": arch, "from": evr("0", version[2:] if version.startswith("0:") else version)})


def dnf(text, packages):
    """What dnf 4 or dnf5 announces with --assumeno (see empty()). packages: installed() of now.

    Its table breaks lines where names are long, so a row is put together until it has all its columns.
    """
    out, known, kind, row, newcomer, old = empty(), _known(packages), None, [], "", []
    for line in text.splitlines() + ["Transaction Summary"]:
        # A hint in brackets belongs to the heading above it.
        heading = line.rstrip().rstrip(":") if line[:1] not in ("", " ", "(") and line.rstrip().endswith(":") else ""
        if heading:
            kind, row, old = _HEADINGS.get(heading), [], []
            continue
        if line.startswith("Transaction Summary"):
            kind, row = None, []
            continue
        if not line.startswith(" ") or kind is None:
            continue
        words = line.split()
        if words[:1] == ["replacing"] or old:
            old += words[1:] if words[:1] == ["replacing"] else words
            if len(old) == 2 and "." in old[0] or len(old) == 6:
                _replacing(out, old, newcomer)
                old = []
            elif len(old) == 1 or 2 < len(old) < 6:
                continue
            else:
                old = []
            continue
        row += words
        # dnf 4 writes no unit beside a size below 1000.
        if len(row) >= 6 or (len(row) == 5 and row[4].isdigit()):
            newcomer = row[0]
            _add(out, kind, row[0], row[1], row[2][2:] if row[2].startswith("0:") else row[2], row[3], known)
            row = []
    return out


def zypper(text):
    """(transaction, facts) from zypper -x dup --dry-run. facts: {download, growth} in bytes. Raises IntactError when it is not its XML."""
    try:
        stream = ElementTree.fromstring(text)  # noqa: S314 (the package manager's own answer, run by root)
    except ElementTree.ParseError as exc:
        raise IntactError("zypper's answer cannot be read: %s" % exc) from exc
    out, facts = empty(), {"download": 0, "growth": 0}
    summary = stream.find("install-summary")
    if summary is None:
        raise IntactError("zypper sees no way: %s" % "; ".join(zypper_messages(text)[:3]))
    facts.update(download=int(summary.get("download-size") or 0), growth=int(summary.get("space-usage-diff") or 0))
    kinds = {
        "to-upgrade": "upgrade",
        "to-downgrade": "upgrade",
        "to-change-arch": "upgrade",
        "to-change-vendor": "upgrade",
        "to-install": "install",
        "to-remove": "remove",
    }
    for part in summary:
        kind = kinds.get(part.tag)
        for item in part.findall("solvable") if kind else []:
            if item.get("type") != "package":
                continue
            entry = {"name": item.get("name"), "arch": item.get("arch")}
            if kind == "remove":
                out["remove"].append(dict(entry, **{"from": item.get("edition")}))
            elif kind == "install":
                out["install"].append(dict(entry, to=item.get("edition"), origin=item.get("repository") or ""))
            else:
                out["upgrade"].append(dict(entry, to=item.get("edition"), origin=item.get("repository") or "", **{"from": item.get("edition-old") or ""}))
    return out, facts


def zypper_messages(text):
    """What zypper's XML says of problems: its errors, warnings and prompts."""
    found = re.findall(r'<message type="(?:error|warning)">(.*?)</message>', text, re.DOTALL) + re.findall(
        r"<description>(Problem.*?)</description>", text, re.DOTALL
    )
    found += re.findall(r"(?m)^(?:Problem: .*|.*nothing provides .*)$", text)
    return [" ".join(entry.split()) for entry in found if "Enforced setting" not in entry]


_WRONG = re.compile(
    r"^Error:|^error:|^ ?Problem|nothing provides|conflicts with|No space left|scriptlet failed|annot download|Failed to download|Curl error"
    r"|not found|No match|metadata not found|does not belong|more space needed|File '.*' not|Couldn't resolve|refused"
)


def problems(text):
    """Lines in which dnf, zypper or rpm say why they cannot do a thing."""
    return [" ".join(line.split()) for line in text.splitlines() if _WRONG.search(line)]


def failed_scripts(text):
    """{NAME-VERSION-RELEASE.ARCH: scriptlet} of the packages whose script failed, by rpm's own words."""
    return {name: script for script, name in re.findall(r"%(\w+)\(([^()\s]+)\) scriptlet failed", text)}


def failed_packages(text):
    """Sorted packages (name-version-release.arch or name) that could not be processed."""
    found = set(failed_scripts(text))
    found |= set(re.findall(r"(?m)^error: (\S+): (?:install|erase) failed", text))
    found |= set(re.findall(r"Error unpacking rpm package (\S+)", text))
    return sorted(found)


def disk_full(text):
    """Whether the text says that a filesystem is full, or would be."""
    return (
        "No space left on device" in text
        or "more space needed on the" in text
        or re.search(r"needs \d+\w* (?:more space )?on the \S+ filesystem", text) is not None
    )


_VERBS = r"Upgrading|Installing|Downgrading|Reinstalling|Running scriptlet|Erasing|Removing|Cleanup|Obsoleting"
# dnf 4:  "  Upgrading        : lab-2-1.noarch     3/12"
# dnf5:   "[ 3/12] Upgrading lab-0:2-1.noarch 100% | ..."
# zypper: "(3/12) Installing: lab-2-1.noarch [done]"
_STEPS = (
    re.compile(r"(?m)^ +(?:%s) *: +(\S+) +(\d+)/(\d+) *$" % _VERBS),
    re.compile(r"(?m)^\[ *(\d+)/(\d+)\] (?:%s) (\S+)" % _VERBS),
    re.compile(r"(?m)^\( *(\d+)/(\d+)\) (?:Installing|Removing):? (\S+)"),
)


def step(text):
    """(done, total, name) of the last step that a package command's output tells, or (0, 0, "")."""
    found = []
    for number, pattern in enumerate(_STEPS):
        for match in pattern.finditer(text):
            name, done, total = match.groups() if number == 0 else (match.group(3), match.group(1), match.group(2))
            found.append((match.start(), int(done), int(total), name))
    return max(found)[1:] if found else (0, 0, "")


def last_command(log):
    """(text of the last package command in the log, when it began in seconds since 1970, whether it was seen to end)."""
    start = list(re.finditer(r"(?m)^--- run at (\d+): .*$", log))
    if not start:
        return "", 0, True
    text = log[start[-1].end() :]
    return text, int(start[-1].group(1)), re.search(r"(?m)^--- ended with status ", text) is not None
