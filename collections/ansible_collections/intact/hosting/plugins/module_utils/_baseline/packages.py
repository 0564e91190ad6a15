# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Installed packages: which, in what state, held or not, asked for or pulled in, and whether any source still has them."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._baseline._versions import sort_key
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

SECTION = "packages"
FORMAT = "${Package}\t${Architecture}\t${Version}\t${db:Status-Want}\t${db:Status-Status}\t${db:Status-Eflag}\t${Essential}\n"
FOREIGN_SHOWN = 2000


def capture(system):
    """Items by package name (with :architecture when it is not the host's own).

    Attributes: version, status (dpkg's, "installed" when all is well; "reinst-required" wins), held, manual, essential,
    foreign (no source has it; None: unknown).
    None when dpkg is not there.
    """
    if not system.which("dpkg-query"):
        return None
    native = system.run(["dpkg", "--print-architecture"]).text.strip()
    automatic = _automatic(system.text("/var/lib/apt/extended_states"), native)
    items = {}
    for line in system.run(["dpkg-query", "-W", "-f", FORMAT]).text.splitlines():
        name, architecture, version, want, status, flag, essential = line.split("\t")
        if status in ("config-files", "not-installed"):
            continue
        subject = name if architecture in (native, "all") else "%s:%s" % (name, architecture)
        items[subject] = {
            "version": version,
            "status": status if flag in ("", "ok") else flag,
            "held": want == "hold",
            "manual": subject not in automatic,
            "essential": essential == "yes",
            "foreign": None,
        }
    _foreign(system, items)
    return {
        "items": items,
        "summary": {
            "installed": len(items),
            "held": sum(i["held"] for i in items.values()),
            "asked for": sum(i["manual"] for i in items.values()),
            "in no source": sum(bool(i["foreign"]) for i in items.values()),
            "broken": sum(i["status"] != "installed" for i in items.values()),
        },
    }


def _automatic(text, native):
    """Names that apt marked as pulled in (extended_states: stanzas of Package, Architecture, Auto-Installed)."""
    out = set()
    for stanza in text.split("\n\n"):
        fields = dict(line.split(": ", 1) for line in stanza.splitlines() if ": " in line)
        if fields.get("Auto-Installed") == "1" and "Package" in fields:
            out.add(fields["Package"] if fields.get("Architecture", native) in (native, "all") else "%s:%s" % (fields["Package"], fields["Architecture"]))
    return out


def _foreign(system, items):
    """Mark packages that no source offers in any version. Without package lists nothing can be said, and that is said."""
    if not system.glob("/var/lib/apt/lists/*_Packages*"):
        system.skip("packages that no source has", "apt has no package lists on this host: run apt-get update")
        return
    names = sorted(items)
    for start in range(0, len(names), FOREIGN_SHOWN):
        text = system.run(["apt-cache", "policy"] + names[start : start + FOREIGN_SHOWN], timeout=60).text
        for name, offered in parse_policy(text).items():
            if name in items:
                items[name]["foreign"] = not offered


def parse_policy(text):
    """{package: whether a source other than dpkg's status file has a version of it} from apt-cache policy."""
    out, name = {}, None
    for line in text.splitlines():
        if line and not line.startswith(" "):
            name = line.rstrip(":")
            out[name] = False
        elif name and line.startswith("        ") and line.strip() and line.split()[0].lstrip("-").isdigit():
            # "        500 URL suite/component arch Packages" is a source; "100 /var/lib/dpkg/status" is what is installed
            out[name] = out[name] or len(line.split()) > 2
    return out


def compare(before, after):
    """Findings: packages.{missing,broken,downgraded}, packages.hold.{lost,new}, packages.manual.lost. Newer and new ones are summary."""
    old, new = before.get("items", {}), after.get("items", {})
    out = []
    for subject in sorted(old):
        was, now = old[subject], new.get(subject)
        if now is None:
            out.append(_missing(subject, was))
            continue
        if now["status"] != "installed":
            out.append(_broken(subject, was["status"], now))
        if was["version"] != now["version"] and sort_key(now["version"]) < sort_key(was["version"]):
            out.append(
                Finding(
                    id="packages.downgraded",
                    severity="warning",
                    subject=subject,
                    check="QF05",
                    title="the installed version is older than before",
                    evidence="before: %s; now: %s" % (was["version"], now["version"]),
                    remedy="apt-cache policy %s shows which source it came from" % subject,
                    details=details("changed", "version", was["version"], now["version"]),
                )
            )
        if was["held"] != now["held"]:
            out.append(
                Finding(
                    id="packages.hold.lost" if was["held"] else "packages.hold.new",
                    severity="warning",
                    subject=subject,
                    check="QF35",
                    title="the package is no longer held" if was["held"] else "the package is held now",
                    evidence="version before: %s; now: %s" % (was["version"], now["version"]),
                    remedy=("apt-mark hold %s, unless it was released on purpose" if was["held"] else "apt-mark unhold %s, unless it is meant") % subject,
                    details=details("changed", "held", was["held"], now["held"]),
                )
            )
        if was["manual"] and not now["manual"]:
            out.append(
                Finding(
                    id="packages.manual.lost",
                    severity="warning",
                    subject=subject,
                    check="QF05",
                    title="marked as automatically installed now: autoremove may take it",
                    evidence="was marked as asked for",
                    remedy="apt-mark manual %s" % subject,
                    details=details("changed", "manual", True, False),
                )
            )
    for subject in sorted(set(new) - set(old)):
        if new[subject]["status"] != "installed":
            out.append(_broken(subject, "not installed", new[subject]))
    return out


def _missing(subject, was):
    asked = was["manual"] or was["essential"] or bool(was["foreign"])
    why = [
        word
        for word, true in (
            ("asked for by name", was["manual"]),
            ("essential", was["essential"]),
            ("held", was["held"]),
            ("in no source of this host: keep its .deb", was["foreign"]),
        )
        if true
    ]
    return Finding(
        id="packages.missing",
        severity="blocker" if asked else "warning",
        subject=subject,
        check="QF05",
        title="the package has been removed",
        evidence="was version %s, %s" % (was["version"], ", ".join(why) or "pulled in as a dependency"),
        remedy="apt-get install %s, or allow the removal with a reason" % subject,
        details=details("missing", "", was["version"], None, manual=was["manual"]),
        # its own files go with it; what the owner had in /etc stays and is compared by itself
        covers=[{"section": section, "id": section + ".*missing", "details": {"package": subject}} for section in ("services", "runtimes")]
        + [{"section": "files", "details": {"package": subject, "origin": origin}} for origin in ("package", "conffile-unmodified")],
    )


def _broken(subject, was, now):
    same = was == now["status"]
    return Finding(
        id="packages.broken.before" if same else "packages.broken",
        severity="warning" if same else "blocker",
        subject=subject,
        check="QF03",
        title="the package is in the state %s%s" % (now["status"], ", as it was before" if same else ""),
        evidence="before: %s; version %s" % (was, now["version"]),
        remedy="dpkg --configure -a, then apt-get -f install",
        details=details("still" if same else "changed", "status", was, now["status"]),
    )
