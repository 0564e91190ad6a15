#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Simulate the upgrade with the target release's sources and say what it would do."""

from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_plan_info
short_description: Tell what an upgrade to the next release would do
version_added: 0.1.0
description:
  - Simulates the upgrade with the real packages of the target release, in a private apt state beside the live one.
  - Where the release path names another engine, the state is dnf's or zypper's, and leapp makes its own report, whose entries become findings.
  - The live sources, package lists and packages are not touched. The private state is kept for the next look.
  - Configuration files that were changed here are compared with those in the new packages, which are downloaded into the private state for that.
options:
  release_path:
    description:
      - The release path, see the lookup P(intact.hosting.release_path#lookup).
    type: dict
    required: true
  source_map:
    description:
      - What becomes of sources that the release path does not know. The first entry that matches decides.
    type: list
    elements: dict
    default: []
    suboptions:
      match:
        description: Shell pattern on the source's URI, or with a space in it on its URI and suite (its URI and name for a repository of dnf or zypper).
        type: str
        required: true
      action:
        description: Give it the O(source_map[].uri) or O(source_map[].suite), disable it, or keep it as it is.
        type: str
        choices: [rename, disable, keep]
        required: true
      uri:
        description: The new URI.
        type: str
      suite:
        description: The new suite.
        type: str
      reason:
        description: Why.
        type: str
        required: true
  protected:
    description: Shell patterns of packages that must not be removed without something in their place.
    type: list
    elements: str
    default: []
  conffiles:
    description: What becomes of configuration files that were changed here and in the new package.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: The file, or a shell pattern. The first entry that matches decides.
        type: str
        required: true
      decision:
        description: V(keep) the local file, V(replace) it by the package's, or V(merge) it, which somebody does by O(conffiles[].reason).
        type: str
        choices: [keep, replace, merge]
        required: true
      reason:
        description: Why.
        type: str
        required: true
  conffile_default:
    description: The decision for files that O(conffiles) does not name; empty is not decided.
    type: str
    choices: ['', keep]
    default: ''
  target_files:
    description: Paths for which the operator supplies the target's configuration, which decides about them.
    type: list
    elements: str
    default: []
  download:
    description:
      - Whether packages with locally changed configuration files are downloaded to look into them.
      - V(auto) does so up to 250 MB.
    type: str
    choices: [auto, 'true', 'false']
    default: auto
  state_directory:
    description: The private state.
    type: path
    default: /var/lib/intact/plan
attributes:
  check_mode:
    description: Can run in check mode and tell the same.
    support: full
  diff_mode:
    description: Shows the plan as text.
    support: full
seealso:
  - module: intact.hosting.upgrade_runner
author: Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Tell what the upgrade would do
  intact.hosting.upgrade_plan_info:
    release_path: "{{ lookup('intact.hosting.release_path', 'debian-12-13') }}"
  register: __plan
"""

RETURN = r"""
plan:
  description: What would be done, or nothing when V(findings) say that it cannot be told.
  returned: always
  type: dict
  contains:
    hash:
      description: The same as long as the same would be done.
      type: str
    sources:
      description: Each apt source and what becomes of it.
      type: list
      elements: dict
    patch:
      description: Packages that are not up to date on today's release.
      type: list
      elements: dict
    upgrade:
      description: Packages that get a new version, and in which stage.
      type: list
      elements: dict
    install:
      description: New packages.
      type: list
      elements: dict
    remove:
      description: Packages that go, what takes their place, and whether that was expected.
      type: list
      elements: dict
    autoremove:
      description: Packages that nothing needs afterwards.
      type: list
      elements: dict
    held:
      description: Packages on hold.
      type: list
      elements: dict
    kept:
      description: Packages that apt keeps back although nobody holds them.
      type: list
      elements: dict
    download_bytes:
      description: Bytes to download.
      type: int
    disk_bytes:
      description: Bytes needed at the peak by mount point.
      type: dict
    disk:
      description: How O(ignore:disk_bytes) comes about, and what is free.
      type: dict
    conffiles:
      description: Configuration files that were changed here, and whether they would be asked about.
      type: list
      elements: dict
    packages_hash:
      description: Digest of the package set that the plan was made for.
      type: str
    apt:
      description: The private state's apt.conf and its directory of archives.
      type: dict
findings:
  description: Why the plan cannot be made or trusted.
  returned: always
  type: list
  elements: dict
text:
  description: The plan as lines that a person reads.
  returned: always
  type: list
  elements: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _plan, _planners, _suites

SPEC = {
    "release_path": {"type": "dict", "required": True},
    "source_map": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "match": {"type": "str", "required": True},
            "action": {"type": "str", "choices": ["rename", "disable", "keep"], "required": True},
            "uri": {"type": "str"},
            "suite": {"type": "str"},
            "reason": {"type": "str", "required": True},
        },
    },
    "protected": {"type": "list", "elements": "str", "default": []},
    "conffiles": {
        "type": "list",
        "elements": "dict",
        "default": [],
        "options": {
            "path": {"type": "str", "required": True},
            "decision": {"type": "str", "choices": ["keep", "replace", "merge"], "required": True},
            "reason": {"type": "str", "required": True},
        },
    },
    "conffile_default": {"type": "str", "choices": ["", "keep"], "default": ""},
    "target_files": {"type": "list", "elements": "str", "default": []},
    "download": {"type": "str", "choices": ["auto", "true", "false"], "default": "auto"},
    "state_directory": {"type": "path", "default": "/var/lib/intact/plan"},
}


def main():
    """Look, and tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    try:
        source_map = [{key: value for key, value in entry.items() if value is not None} for entry in params["source_map"]]
        _suites.check_source_map(source_map)
        plan, findings = _planners.look(
            params["release_path"],
            params["state_directory"],
            source_map=source_map,
            protected=params["protected"],
            conffiles=params["conffiles"],
            default=params["conffile_default"],
            target_files=params["target_files"],
            download=params["download"],
        )
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    result = {"changed": False, "plan": plan, "findings": [finding.as_dict() for finding in findings], "text": _plan.lines(plan) if plan else []}
    if module._diff:
        result["diff"] = {"before_header": "today", "after_header": "upgrade", "before": "", "after": "".join(line + "\n" for line in result["text"])}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
