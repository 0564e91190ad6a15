# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that turn what was agreed before take-off into allowed changes."""

from __future__ import annotations

import glob
import hashlib
import os

from ansible.errors import AnsibleFilterError

from ansible_collections.intact.hosting.plugins.module_utils._files import escape


def plan_rules(plan):
    """Allowed changes from an accepted plan: the packages that it removes, by name, and the units they brought that did not run.

    A unit that ran is missed by somebody: that it went with its package stays a finding, unless a rule names it or its successor.
    """
    rules, reason = [], "the plan accepted before take-off removes %s"
    for entry in (plan or {}).get("remove", []) + (plan or {}).get("autoremove", []):
        name, foreign = (entry, "") if isinstance(entry, str) else (entry["name"], entry.get("arch"))
        rules.append({"section": "packages", "subject": "%s:%s" % (name, foreign) if foreign else name, "change": "missing", "reason": reason % "it"})
        if foreign:
            continue
        rules.append(
            {
                "section": "services",
                "id": "services.missing",
                "before": "*, inactive",
                "details": {"package": name},
                "reason": reason % "its package",
            }
        )
    return rules


def host_paths(directory):
    """Absolute paths on the host of all files below a directory of target configuration, sorted."""
    if not directory:
        return []
    if not os.path.isdir(directory):
        raise AnsibleFilterError("%s is not a directory: it should hold target configuration as etc/..." % directory)
    found = []
    for folder, _folders, names in os.walk(directory):
        found += ["/" + os.path.relpath(os.path.join(folder, name), directory) for name in names]
    return sorted(found)


def target_file_rules(directory):
    """Allowed changes for the operator's target configuration: each file by its path, and only to what the operator wrote there.

    A target file that is gone afterwards, holds something else or has another owner is a finding like any other.
    """
    reason = "the operator's target configuration, checked against the target before the upgrade"
    rules = []
    for path in host_paths(directory):
        staged = os.path.join(directory, path[1:])
        rule = {"section": "files", "subject": glob.escape(escape(path)), "reason": reason}
        if os.path.islink(staged):
            rules.append(dict(rule, attribute="link", after=glob.escape(escape(os.readlink(staged)))))
            rules.append(dict(rule, id="files.new", after=glob.escape("a link to %s" % escape(os.readlink(staged)))))
            rules.append(dict(rule, id="files.type.changed", after="link"))
            continue
        with open(staged, "rb") as handle:
            data = handle.read()
        rules.append(dict(rule, attribute="content", after=hashlib.sha256(data).hexdigest()))
        # as it is put in place: others may read it at most, and it gives nobody other rights
        rules.append(dict(rule, id="files.new", after="a file of %d bytes, mode 0?[0145][0145]" % len(data)))
        rules.append(dict(rule, id="files.type.changed", after="file"))
    return rules


def target_absent_rules(patterns, directory=""):
    """Allowed changes for files that the operator's target configuration takes away: exactly that they are missing, and none of the target files."""
    kept = host_paths(directory)
    return [
        {
            "section": "files",
            "path": pattern,
            "except": kept,
            "id": "files.missing",
            "before": "a [!d]*",  # directories are not taken away
            "reason": "the operator's target configuration takes it away; it is kept in the flight's backup",
        }
        for pattern in patterns or []
    ]


class FilterModule:
    """Filters of this file."""

    def filters(self):
        """Name to function."""
        return {
            "plan_rules": plan_rules,
            "host_paths": host_paths,
            "target_file_rules": target_file_rules,
            "target_absent_rules": target_absent_rules,
        }
