# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is the package database clean, and is everything from the target release (QF03, QF04, QF32)."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils import _conffiles
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

RESIDUE = (".dpkg-dist", ".dpkg-new", ".ucf-dist", ".ucf-new", ".dpkg-bak", ".dpkg-old", ".ucf-old")


def database_clean(context):
    """QF03: nothing half-installed, nothing broken, no leftover of a cut in dpkg's journal."""
    found = []
    audit = context.host.run(["dpkg", "--audit"], check=False)
    if audit.rc != 0 or audit.text.strip():
        found.append(_broken("dpkg --audit", audit.text.strip() or audit.error))
    checked = context.host.run(["apt-get", "-q", "check"], check=False)
    if checked.rc != 0:
        found.append(_broken("apt-get check", checked.error))
    left = context.host.glob("/var/lib/dpkg/updates/*")
    if left:
        found.append(_broken("/var/lib/dpkg/updates", "%d files are left of an interrupted dpkg" % len(left)))
    return found


def _broken(subject, evidence):
    return Finding(
        id="packages.database",
        severity="blocker",
        subject=subject,
        title="the package database is not clean",
        evidence=evidence[-600:],
        remedy="dpkg --configure -a, then apt-get -f install, then run verify-host again",
    )


def parse_upgrades(text):
    """[(package, installed, candidate)] from the Inst lines of `apt-get -s full-upgrade`."""
    return re.findall(r"^Inst (\S+) \[([^\]]+)\] \((\S+)", text, re.M)


def all_from_target(context):
    """QF04: no package stayed behind that the target release has newer; held ones are told as such."""
    simulated = context.host.run(["apt-get", "-s", "-q", "full-upgrade"], timeout=180, check=False)
    if simulated.rc != 0:
        return [_broken("apt-get -s full-upgrade", simulated.error)]
    return [
        Finding(
            id="packages.behind",
            severity="warning",
            subject=name,
            title="a newer version is there and not installed",
            evidence="installed %s, target has %s" % (installed, candidate),
            remedy="apt-get install %s in a window" % name,
        )
        for name, installed, candidate in parse_upgrades(simulated.text)
    ]


def conffile_residue(context):
    """QF32: files that the package manager laid beside an edited one, each with how far it differs and who decided."""
    argv = ["find", "/etc", "-xdev", "-type", "f", "("]
    for index, suffix in enumerate(RESIDUE):
        argv += (["-o"] if index else []) + ["-name", "*" + suffix]
    settings = [context.options.get(key) or empty for key, empty in (("conffiles", ()), ("conffile_default", ""), ("target_files", ()))]
    found = []
    for name in sorted(filter(None, context.host.run(argv + [")", "-print0"]).out.split(b"\0"))):
        beside = name.decode("utf-8", "backslashreplace")
        suffix = next(s for s in RESIDUE if beside.endswith(s))
        path = beside[: -len(suffix)]
        why = _conffiles.decision(path, *settings)[1]
        named = _conffiles.delicate(path) and suffix in (".dpkg-dist", ".dpkg-new", ".ucf-dist", ".ucf-new")
        found.append(
            Finding(
                id="conffiles.residue" if why else "conffiles.undecided",
                severity="info" if why else ("blocker" if named else "warning"),
                subject=beside,
                title="decided (%s)" % why if why else "nobody decided between the edited file and the package's new one",
                evidence=lines_differing(context.host.read(path), context.host.read(beside)),
                remedy="" if why else "compare the two, then name %s in distro_upgrade_conffiles" % path,
            )
        )
    return found


def lines_differing(old, new):
    """How many lines differ, as words; contents stay out because configuration holds secrets."""
    if old is None:
        return "the file itself is gone"
    before, after = old.splitlines(), (new or b"").splitlines()
    return "%d lines only in the one in use, %d only in the other" % (len(set(before) - set(after)), len(set(after) - set(before)))
