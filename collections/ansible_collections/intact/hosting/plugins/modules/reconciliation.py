#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hold an old disk against the host that it was migrated to."""

from __future__ import annotations

DOCUMENTATION = r"""
module: reconciliation
short_description: Hold an old disk against the host that it was migrated to
version_added: 0.1.0
description:
  - Looks at each class (accounts, files, tables and so on) on the old disk and on this host, by another way than the phases that brought them, and compares.
  - Every difference is explained by a rule of the class, by what a phase left out and why, or by a rule of O(rules). Any other is a blocker. So is a phase that
    is not through, a class that could not be looked at, and one of which nothing was read though there is some on the disk.
  - A finding does not fail the module, M(intact.hosting.gate) decides by RV(findings).
  - Nothing is changed but the migration's directory, where C(reconcile.json) and C(reconcile.d) have all of it.
extends_documentation_fragment:
  - intact.hosting.migration
  - intact.hosting.info.findings
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
    details: Looks and compares as well, but leaves C(reconcile.json) as it was.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check mode), when in diff mode.
    support: none
  idempotent:
    description: Run twice, the second run does not change anything.
    support: full
options:
  classes:
    description: Which classes. Empty is all; one that is left out is a warning.
    type: list
    elements: str
    default: []
  rules:
    description: What explains differences besides, each with somebody who answers for it and an end. One that ran out explains nothing.
    type: list
    elements: dict
    default: []
    suboptions:
      class:
        description: Of which class.
        type: str
        required: true
      subject:
        description: The subject, or a shell pattern of it.
        type: str
        required: true
      attribute:
        description: Which attribute, or a shell pattern. Empty is any.
        type: str
      change:
        description: Which change, such as V(missing), V(changed) or V(extra). Empty is any.
        type: str
      reason:
        description: Why it is right.
        type: str
        required: true
      who:
        description: Who answers for it.
        type: str
        required: true
      expires:
        description: Last day, or moment in ISO 8601.
        type: str
        required: true
seealso:
  - module: intact.hosting.migration_phase
  - module: intact.hosting.gate
"""

EXAMPLES = r"""
- name: Is everything here
  intact.hosting.reconciliation:
    migration: web1-20261123
    root: /mnt/legacy
    token: WD-WMC4N0123456/9f86d081884c7d65
    rules:
      - class: accounts
        subject: user olddaemon
        reason: the counter of 2009 is not wanted any more
        who: ops
        expires: '2027-01-31'
  register: reconciled
"""

RETURN = r"""
findings:
  description: What no rule explains, at most 200; all are on the host.
  returned: success
  type: list
  elements: dict
  sample: []
counts:
  description: How many differences are explained and unexplained, how many classes there are, and how many blockers.
  returned: success
  type: dict
  sample: {classes: 9, explained: 214, unexplained: 0, blockers: 0}
classes:
  description: The table, a row for each class.
  returned: success
  type: list
  elements: dict
  contains:
    class: {description: Its name., type: str, returned: always}
    looked: {description: Whether it could be looked at., type: bool, returned: always}
    old: {description: How many there are on the old disk., type: int, returned: always}
    new: {description: How many of them are on this host., type: int, returned: always}
    explained: {description: Differences with a reason., type: int, returned: always}
    unexplained: {description: Differences without one., type: int, returned: always}
    changes: {description: Those without one by kind., type: dict, returned: always}
    sums: {description: 'What is added up, each old and new, such as C(rows).', type: dict, returned: always}
    reasons: {description: 'The reasons, each with C(count) and some subjects.', type: list, elements: dict, returned: always}
    list: {description: File on the host with every difference., type: str, returned: always}
  sample: [{class: tables, looked: true, old: 412, new: 412, explained: 0, unexplained: 0, changes: {}, sums: {rows: [99123, 99123]}, reasons: [], list: ''}]
table:
  description: The same as lines to be read.
  returned: success
  type: list
  elements: str
  sample: ['class         old      new  explained  unexplained', 'accounts       38       38          4            0']
document:
  description: The document on the host.
  returned: success
  type: str
  sample: /var/lib/intact/migrations/web1-20261123/reconcile.json
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _arguments, reconcile
from ansible_collections.intact.hosting.plugins.module_utils._system import System

RULE = {
    "class": {"type": "str", "required": True},
    "subject": {"type": "str", "required": True},
    "attribute": {"type": "str"},
    "change": {"type": "str"},
    "reason": {"type": "str", "required": True},
    "who": {"type": "str", "required": True},
    "expires": {"type": "str", "required": True},
}
SPEC = dict(
    {
        "classes": {"type": "list", "elements": "str", "default": []},
        "rules": {"type": "list", "elements": "dict", "default": [], "options": RULE},
    },
    **_arguments.SPEC,
)


def main():
    """Look, compare, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    try:
        context = _arguments.context(params, "reconcile", System(), module.check_mode)
        document = reconcile.run(context, params["classes"], params["rules"], check=module.check_mode)
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="%s can't be read or written: %s" % (exc.filename or params["directory"], exc.strerror))
    module.exit_json(
        changed=False,
        findings=_arguments.small(document["findings"]),
        counts=document["counts"],
        classes=document["classes"],
        table=reconcile.table(document["classes"]),
        document=context.path("reconcile.json"),
    )


if __name__ == "__main__":
    main()
