#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Compare two baselines of a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: baseline_compare
short_description: Compare two baselines of a host
version_added: 0.1.0
description:
  - Reads two documents that M(intact.hosting.baseline_info) wrote and says what is not as it was, as findings.
  - One event gives one finding. What it explains is folded under it as C(consequences), and never dropped.
  - Changes that are expected are named by rules in O(allowed). An allowed change is returned with the rule's reason, never silently left out.
  - Runs where the two documents are. This can be the host or the controller.
extends_documentation_fragment:
  - intact.hosting.info
  - intact.hosting.info.findings
attributes:
  diff_mode:
    support: full
author:
  - Intact contributors (@intact-project)
options:
  before:
    description:
      - Path of the earlier document.
    type: path
    required: true
  after:
    description:
      - Path of the later document.
    type: path
    required: true
  allowed:
    description:
      - Rules for changes that are expected, each with a reason.
      - A rule allows a finding when all the keys that it names match. Strings are shell patterns.
    type: list
    elements: dict
    default: []
    suboptions:
      section:
        description: The section the finding is in.
        type: str
        required: true
      reason:
        description: Why this change is expected. It is shown with the change.
        type: str
        required: true
      id:
        description: The finding's id.
        type: str
      subject:
        description: The finding's subject.
        type: str
      path:
        description: The finding's subject, as a shell finds it. Unlike in O(allowed[].subject), V(*) and V(?) stop at a slash and stand for no first dot.
        type: str
      except:
        description: Paths that O(allowed[].path) does not mean.
        type: list
        elements: str
      change:
        description: The kind of change, usually V(missing), V(new) or V(changed); V(still) for what was as bad before.
        type: str
      attribute:
        description: The attribute that has changed.
        type: str
      before:
        description: The attribute's value before.
        type: str
      after:
        description: The attribute's value after.
        type: str
      details:
        description: Further details of the finding, each with the value to match.
        type: dict
      rename:
        description:
          - The thing has another name after the change. Its item of the earlier document is compared under the new name.
          - One C(*) in C(from) is carried over to the C(*) in C(to).
        type: dict
seealso:
  - module: intact.hosting.baseline_info
"""

EXAMPLES = r"""
- name: Compare the baselines of a flight
  intact.hosting.baseline_compare:
    before: /var/lib/intact/flights/web1-20261130/baseline-before.json.gz
    after: /var/lib/intact/flights/web1-20261130/baseline-after.json.gz
    allowed:
      - section: services
        rename:
          from: php8.2-fpm.service
          to: php8.4-fpm.service
        reason: Debian 13 has PHP 8.4
      - section: packages
        change: missing
        subject: libicu72
        reason: replaced by libicu76
  register: compared
"""

RETURN = r"""
findings:
  description: What is not as it was and not allowed, causes first.
  returned: success
  type: list
  elements: dict
  sample:
    - id: mounts.missing
      severity: blocker
      subject: /home
      title: not mounted any more
      evidence: "was UUID=5a1d0f0e-11ab-4c0d-9a57-1a7ac7da7a00 (ext4); its line in /etc/fstab is still there; the directory is empty"
      remedy: "make sure the disk is there (lsblk, blkid), then: mount /home; write nothing to the directory before"
      check: QF27
      details: {change: missing, attribute: "", before: UUID=5a1d0f0e-11ab-4c0d-9a57-1a7ac7da7a00, after: null, paths: [/home]}
      covers: [{section: "*", path: /home}]
      consequences: []
allowed:
  description: Changes that a rule expects, each with the rule's reason.
  returned: success
  type: list
  elements: dict
  contains:
    finding:
      description: The finding as it would have been.
      type: dict
      returned: success
      sample: {id: packages.missing, subject: libicu72}
    reason:
      description: Why it is allowed.
      type: str
      returned: success
      sample: replaced by libicu76
renamed:
  description: What was compared under another name.
  returned: success
  type: list
  elements: dict
  sample: [{section: services, from: php8.2-fpm.service, to: php8.4-fpm.service, reason: Debian 13 has PHP 8.4}]
sections:
  description: One line for each section with its numbers before and after, how many changes it had and how many of them were allowed.
  returned: success
  type: list
  elements: dict
  sample: [{section: mounts, before: {mounted: 5}, after: {mounted: 4}, status: ok, changes: 1, allowed: 0}]
equal:
  description: Whether nothing differs at all, not even something allowed.
  returned: success
  type: bool
  sample: false
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _document, _registry
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

RULE = dict(
    section=dict(type="str", required=True),
    reason=dict(type="str", required=True),
    id=dict(type="str"),
    subject=dict(type="str"),
    path=dict(type="str"),
    change=dict(type="str"),
    attribute=dict(type="str"),
    before=dict(type="str"),
    after=dict(type="str"),
    details=dict(type="dict"),
    rename=dict(type="dict"),
    **{"except": dict(type="list", elements="str")},  # a word that Python keeps for itself
)


def main():
    """Read, compare, report."""
    module = AnsibleModule(
        argument_spec=dict(
            before=dict(type="path", required=True),
            after=dict(type="path", required=True),
            allowed=dict(type="list", elements="dict", default=[], options=RULE),
        ),
        supports_check_mode=True,
    )
    rules = [{key: value for key, value in rule.items() if value is not None} for rule in module.params["allowed"]]
    try:
        before, after = _document.load(module.params["before"]), _document.load(module.params["after"])
        result = _compare.compare(before, after, _registry.PROBES, rules)
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    result["equal"] = not (result["findings"] or result["allowed"] or result["renamed"])
    if module._diff:
        result["diff"] = _compare.diff(result["findings"], result["allowed"])
    result["findings"] = [finding.as_dict() for finding in result["findings"]]
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
