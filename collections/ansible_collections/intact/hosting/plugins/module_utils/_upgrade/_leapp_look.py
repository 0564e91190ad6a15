# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Look at a leapp upgrade before it: its preupgrade report becomes our findings, its list of packages the plan."""

from __future__ import annotations

import os
import time

from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _leapp, _leapp_report, _rpm_look, _rpm_says


def look(path, root, source_map=(), protected=(), conffiles=(), default="", target_files=(), download="auto"):
    """(plan or None, [Finding]): see _look.look. leapp maps repositories and reads configuration files by itself: source_map and conffiles are not used."""
    since = time.time()
    try:
        done = _rpm_look.run(_leapp.command("preupgrade", path), timeout=7200, check=False)
        written = os.stat(_leapp_report.REPORT).st_mtime if os.path.exists(_leapp_report.REPORT) else 0
        if written < since - 1:
            said = (done.error or done.text).strip().splitlines()[-3:]
            raise IntactError("leapp preupgrade ended with status %d and wrote no report: %s" % (done.rc, " | ".join(said)))
        entries = _leapp_report.parse(read_if_exists(_leapp_report.REPORT) or b"")
        packages = _rpm_says.installed(_rpm_look.run(["rpm", "-qa", "--qf", _rpm_says.QUERY]).text)
        patch = _rpm_look.MANAGERS["dnf"](os.path.join(root, "leapp"), path["target"]["version"], _rpm_look.run).transaction("look-patch", packages)
        full = _leapp_report.packages(read_if_exists(_leapp_report.PACKAGES), packages)
    except IntactError as exc:
        remedy = "install leapp-upgrade and its data for this distribution, read /var/log/leapp/leapp-preupgrade.log, then look again"
        return None, [Finding("plan.impossible", "blocker", path["name"], "leapp cannot look", str(exc), remedy)]
    found = _leapp_report.findings(entries)
    if done.rc != 0 and not any(f.severity == "blocker" for f in found):
        evidence = "status %d: %s" % (done.rc, " | ".join((done.error or done.text).strip().splitlines()[-3:]))
        found.insert(0, Finding("plan.impossible", "blocker", path["name"], "leapp preupgrade failed", evidence, "read /var/log/leapp/leapp-preupgrade.log"))
    if full is None:
        title = "leapp did not say which packages it removes"
        found.append(Finding("plan.packages.unknown", "warning", path["name"], title, "%s is not there" % _leapp_report.PACKAGES, "read its report"))
        full = _rpm_says.empty()
    return _rpm_look.build(path, [], patch, full, conffiles=[], disk={}, missing=0, protected=protected), found
