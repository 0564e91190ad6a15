# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Judge two captures of runtimes: what sites, services and jobs can no longer load or start. Pure."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

SHOWN = 8


def compare(before, after):
    """Findings: runtimes.{php.missing,extension.missing,php.complains,venv.broken,modules.lost,interpreter.missing}."""
    old, new, out = before.get("items", {}), after.get("items", {}), []
    for subject in sorted(set(old) | set(new)):
        was, now = old.get(subject), new.get(subject)
        if subject.startswith("PHP "):
            out += _php(subject, was, now)
        elif subject.startswith("venv ") and was and now:
            out += _venv(subject, was, now)
        elif subject.startswith(("Python modules", "Ruby gems")) and was:
            out += _modules(subject, was, now)
        elif subject.startswith("interpreter ") and now and not now["there"] and (was is None or was["there"]):
            out.append(_interpreter(subject, was, now))
    return _together(out)


def _php(subject, was, now):
    if was is None:
        return []
    way = subject.split()[-1]
    served = [{"section": "sites", "path": "service:php-fpm"}] if way != "cli" else []
    if now is None:
        unit = "php%s-fpm.service" % subject.split()[1]
        return [
            _finding(
                "php.missing",
                "blocker",
                subject,
                "this way to run PHP is gone",
                "it had %d extensions%s" % (len(was["extensions"]), "; pools: " + ", ".join(was["pools"]) if was["pools"] else ""),
                "install it again, or name its successor in a rename rule",
                details("missing", "", "there", None, package="php%s-%s" % tuple(subject.split()[1:3]) if subject.count(" ") > 1 else ""),
                served + ([{"section": "services", "subject": unit}] if way == "fpm" else []),
            )
        ]
    out = []
    for name in [ext for ext in was["extensions"] if ext not in now["extensions"]]:
        package = was["packages"].get(name, "")
        out.append(
            _finding(
                "extension.missing",
                "blocker",
                "%s: %s" % (subject, name),
                "PHP no longer loads this extension",
                "loaded before%s%s" % (" (package %s)" % package if package else "", "; pools: " + ", ".join(was["pools"]) if was["pools"] else ""),
                "phpenmod %s; if it is not installed, apt-get install php-%s" % (name, name),
                details("missing", name, "loaded", None, package=package),
                served
                + [
                    {"section": "files", "match": "/etc/php/*/conf.d/*-%s.ini" % name},
                    {"section": "files", "match": "/etc/php/*/mods-available/%s.ini" % name},
                ],
            )
        )
    lost = {finding.details["attribute"] for finding in out}
    for line in [line for line in now["complaints"] if line not in was["complaints"]]:
        if line.rpartition(" ")[2].partition(".")[0] in lost:
            out[[f.details["attribute"] for f in out].index(line.rpartition(" ")[2].partition(".")[0])].evidence += "; PHP says at its start: " + line
            continue
        out.append(
            _finding(
                "php.complains",
                "warning",
                subject,
                "PHP complains at its start of what it did not before",
                line,
                "php -m shows it; repair or remove the line in its configuration that asks for it",
                details("new", "complaints", None, line),
                [],
            )
        )
    return out


def _together(findings):
    """One finding for an extension that several ways to run the same PHP lost."""
    out, known = [], {}
    for finding in findings:
        found = re.match(r"^PHP (\S+) (\S+): (.*)$", finding.subject)
        if finding.id != "runtimes.extension.missing" or not found:
            out.append(finding)
            continue
        key = (found.group(1), found.group(3))
        if key not in known:
            finding.subject = "PHP %s: %s" % key
            finding.evidence = "%s: %s" % (found.group(2), finding.evidence)
            known[key] = finding
            out.append(finding)
        else:
            known[key].evidence += "; %s: %s" % (found.group(2), finding.evidence)
            known[key].covers += [entry for entry in finding.covers if entry not in known[key].covers]
    return out


def _venv(subject, was, now):
    if now["works"] == "yes" or was["works"] == now["works"]:
        return []
    if was["works"] != "yes":
        return []  # it was broken already, in another way
    path = subject[len("venv ") :]
    used, literal = now["used_by"] or was["used_by"], re.sub(r"([\[*?])", r"[\1]", path)
    return [
        _finding(
            "venv.broken",
            "blocker" if used else "warning",
            subject,
            "this Python environment no longer works",
            "%s; %d packages%s" % (now["works"], now["packages"] or was["packages"], "; used by " + ", ".join(used[:SHOWN]) if used else ""),
            "make it anew: python3 -m venv --clear, then install its packages (pip freeze of a backup, or the application's requirements)",
            details("changed", "works", was["works"], now["works"], paths=[path]),
            [{"section": "services", "subject": name.rpartition("/")[2]} for name in used if name.endswith(".service")]
            + [{"section": "runtimes", "match": "interpreter %s/*" % literal}, {"section": "cron", "id": "cron.program.missing", "match": "*%s/*" % literal}],
        )
    ]


def _modules(subject, was, now):
    lost = [name for name in was["names"] if name not in (now or {"names": []})["names"]]
    if not lost or (now and now["version"] == was["version"]):
        return []  # somebody took them away: the section files tells of it
    tool = "pip" if subject.startswith("Python") else "gem"
    return [
        _finding(
            "modules.lost",
            "warning",
            subject,
            "%d that were put in with %s are not seen by the new version" % (len(lost), tool),
            "%s before, %s now: %s" % (was["version"], now["version"] if now else "nothing", ", ".join(lost[:SHOWN]) + (" ..." if len(lost) > SHOWN else "")),
            "install the distribution's packages of these, or put them in again with %s; programs that import them fail until then" % tool,
            details("changed", "names", was["names"], (now or {}).get("names")),
            [],
        )
    ]


def _interpreter(subject, was, now):
    path = subject[len("interpreter ") :]
    return _finding(
        "interpreter.missing",
        "blocker",
        subject,
        "this interpreter is named by what runs here, and is not there",
        "named in " + ", ".join(now["used_by"][:SHOWN]),
        "name the one that is there (%s) in these files, or install this one" % re.sub(r"[\d.]+$", "", path),
        details("changed" if was else "new", "there", was and was["there"], False, paths=now["used_by"]),
        [{"section": "services", "subject": name.rpartition("/")[2]} for name in now["used_by"] if name.endswith(".service")],
    )


def _finding(name, severity, subject, title, evidence, remedy, told, covers):
    return Finding(
        id="runtimes." + name,
        severity=severity,
        subject=subject,
        check="QF21",
        title=title,
        evidence=evidence,
        remedy=remedy,
        details=told,
        covers=covers,
    )
