#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Run one phase of a migration from an old disk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: migration_phase
short_description: Run one phase of a migration from an old disk
version_added: 0.1.0
description:
  - Brings one kind of thing from an attached old disk (M(intact.hosting.legacy_volume)) to this host. Nothing is ever written to the disk.
  - Refuses when what is mounted at O(root) is not the disk of O(token), or can be written.
  - A phase that is through is not run again, unless its settings or what it builds on changed, or with O(force). One that was killed goes on where it was.
  - Each phase leaves a document, C(PHASE.json), in the migration's directory, with what it counted, found, and left out and why.
  - On the controller, progress is shown while it works, and a lost connection does not end it.
extends_documentation_fragment:
  - intact.hosting.migration
  - intact.hosting.info.findings
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
    details: A phase tells what it would do. One that builds on a phase that has not run yet can't, and says so in RV(waits_for).
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check mode), when in diff mode.
    support: full
  idempotent:
    description: Run twice, the second run does not change anything.
    support: full
    details: Unless with O(force).
options:
  phase:
    description: Which one. The role C(intact.hosting.site_migration) runs them in their order.
    type: str
    required: true
    choices: [accounts, files, databases, mail, lists, jobs, plan]
  force:
    description: Run it again although it is through.
    type: bool
    default: false
  limit_seconds:
    description:
      - How long the phase may take in all, seen from the controller. V(0) runs it in one go, without progress.
      - After this time the controller gives up, and the phase is ended. Run again, it goes on.
    type: int
    default: 0
  poll_seconds:
    description: How often the controller looks how far it is.
    type: float
    default: 5
seealso:
  - module: intact.hosting.identity_map_info
  - module: intact.hosting.legacy_volume
  - module: intact.hosting.reconciliation
"""

EXAMPLES = r"""
- name: Bring the files
  intact.hosting.migration_phase:
    phase: files
    migration: web1-20261123
    root: /mnt/legacy
    token: WD-WMC4N0123456/9f86d081884c7d65
    settings:
      trees:
        - {from: /home, to: /home}
    limit_seconds: 86400
"""

RETURN = r"""
action:
  description: What it was, V(start), V(continue), V(again) or V(nothing).
  returned: success
  type: str
  sample: start
status:
  description: V(done) or V(failed), as the document says; in check mode empty.
  returned: success
  type: str
  sample: done
waits_for:
  description: In check mode, phases that have to run first, so that nothing can be foretold.
  returned: success
  type: list
  elements: str
  sample: []
counts:
  description: What was counted.
  returned: success
  type: dict
  sample: {files: 120311, bytes: 8123456789}
findings:
  description: What is wrong or has to be known, at most 200; all are in the document.
  returned: success
  type: list
  elements: dict
  sample: []
explained:
  description: What was left out on purpose, by class and reason.
  returned: success
  type: list
  elements: dict
  sample: [{class: files, reason: a socket is made by its server, count: 3}]
document:
  description: The phase's document on the host.
  returned: success
  type: str
  sample: /var/lib/intact/migrations/web1-20261123/files.json
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _arguments, _phases
from ansible_collections.intact.hosting.plugins.module_utils._system import System

SPEC = dict(
    {
        "phase": {"type": "str", "required": True, "choices": list(_phases.RUN)},
        "force": {"type": "bool", "default": False},
        "limit_seconds": {"type": "int", "default": 0},
        "poll_seconds": {"type": "float", "default": 5},
    },
    **_arguments.SPEC,
)


def main():
    """Look, run, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params, phase = module.params, module.params["phase"]
    try:
        context = _arguments.context(params, phase, System(), module.check_mode)
        ran = _phases.run(context, phase, module.check_mode, params["force"])
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="%s can't be read or written: %s" % (exc.filename or params["directory"], exc.strerror))
    document = ran["document"]
    result = {key: ran[key] for key in ("action", "changed", "waits_for")}
    result.update(status=document["status"], counts=document["counts"], document=context.path(phase + ".json"))
    result.update(findings=_arguments.small(document["findings"]), explained=_arguments.reasons(document["explained"]))
    if module._diff and ran["changed"]:
        lines = ["%s: %s" % entry for entry in sorted(document["counts"].items())] or ["after %s" % ", ".join(ran["waits_for"])]
        result["diff"] = {"before_header": phase, "after_header": phase, "before": "", "after": "\n".join(lines) + "\n"}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
