#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restore a host from its backup, sites first."""

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_run
short_description: Restore a host from its backup, sites first
version_added: 0.1.0
description:
  - Accounts and ids first, then site by site configuration, docroot and databases together, then the rest, mail after.
  - What is overwritten is kept aside under C(/var/lib/intact/restores/ID/aside/). What is newer on the host than in the
    backup is not overwritten unless O(accept) names it.
  - Goes on where it was when it is started again with the same O(restore_id). Ends with the comparison against the manifests.
author:
  - Intact contributors (@intact-project)
extends_documentation_fragment:
  - intact.hosting.repository
  - intact.hosting.repository.restore
  - intact.hosting.info.findings
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Shows by step what is overwritten, and how much comes, is overwritten and stays.
    support: full
  idempotent:
    description: Run twice, the second run does not change anything.
    support: full
    details: As long as O(restore_id) is the same.
options:
  restore_id:
    description: The restore's name, for its journal.
    type: str
    required: true
  restores_dir:
    description: Where journals and what was overwritten are kept.
    type: path
    default: /var/lib/intact/restores
  reload:
    description: Units, or shell patterns of them, that are reloaded after each site; those that run.
    type: list
    elements: str
    default: []
  stop:
    description: For a class, units or patterns that are stopped while the whole class is restored, and started again afterwards.
    type: dict
    default: {}
  restart:
    description: Units of database servers that are restarted when their settings came.
    type: list
    elements: str
    default: []
  finish:
    description: Units that are reloaded at the end of a whole restore.
    type: list
    elements: str
    default: []
  parallel:
    description: How many sites are restored at once.
    type: int
    default: 2
seealso:
  - module: intact.hosting.restore_plan_info
"""

EXAMPLES = r"""
- name: Bring a mailbox back
  intact.hosting.restore_run:
    restore_id: carol-20261122
    host: web1
    repository: {name: vault, url: 'rest:https://vault.example.com:8000/web1/', password_file: /etc/intact/restore/vault.password}
    select: {mailboxes: [carol]}
"""

RETURN = r"""
findings:
  description: Why nothing was restored, or how what is here now differs from the backup.
  returned: success
  type: list
  elements: dict
  sample: []
plan:
  description: See M(intact.hosting.restore_plan_info).
  returned: success
  type: dict
  sample: {repository: vault, host: web1, steps: []}
refused:
  description: Whether nothing was restored because of blockers in the plan.
  returned: success
  type: bool
  sample: false
seconds:
  description: Seconds from the start until each step was done.
  returned: success
  type: dict
  sample: {'site shop.example.com': 41.2}
aside:
  description: Where what was overwritten is.
  returned: success
  type: str
  sample: /var/lib/intact/restores/carol-20261122/aside
"""

import os
import re

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._backup import _arguments, _restore, _restore_journal, _restore_plan, _restore_services
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError


def planned(params, backup, view, directory):
    """(plan, findings, whether it goes on): the plan of an earlier start, so that what came then isn't taken for the customers' newer data."""
    path = os.path.join(directory, "plan.json")
    if os.path.exists(path):
        plan = read_document(path)
        if plan.get("asked", _asked(params)) != _asked(params):
            raise IntactError(
                "%s was begun with other sites, select or system_paths: take another restore_id, or name what it was begun with" % params["restore_id"]
            )
        said = {name: run["run"] for name, run in plan["runs"].items()}
        if plan["host"] != backup.host or said != {name: run.run for name, run in backup.runs.items()}:
            raise IntactError("%s was begun with another backup: take another restore_id, or name its run" % params["restore_id"])
        return plan, [Finding.from_dict(told) for told in plan.get("told", [])], True
    return (*_arguments.plan(params["restore_id"], backup, view, params), False)


def _asked(params):
    """What a restore is to bring: an id belongs to one such question."""
    return {key: params[key] for key in ("sites", "select", "system_paths")}


def diff(plan):
    """Before and after as text."""
    before, after = [], []
    for step in plan["steps"]:
        before += ["%s: %s" % (step["name"], path) for path in step["overwritten"]]
        said = (step["name"], step["comes"], len(step["overwritten"]), step["same"], len(step["kept"]))
        after.append("%s: %d come, %d overwritten, %d are as in the backup, %d of the host are kept" % said)
        if step["packaged"]:
            after.append("%s: %d files of packages are left to this release's own" % (step["name"], step["packaged"]))
    return {"before": "\n".join(before) + "\n", "after": "\n".join(after) + "\n"}


def again(done):
    """What to do after a cut, and which services wait for it."""
    down = "; %s stopped until then" % (", ".join(done.stopped) + (" is" if len(done.stopped) == 1 else " are")) if done is not None and done.stopped else ""
    return "; run it again with the same restore_id, it goes on where it was%s" % down


def main():
    """Plan, restore unless in check mode or refused, tell."""
    module = AnsibleModule(
        argument_spec=dict(
            _arguments.RESTORE,
            restore_id=dict(type="str", required=True),
            restores_dir=dict(type="path", default=_restore.RESTORES),
            reload=dict(type="list", elements="str", default=[]),
            stop=dict(type="dict", default={}),
            restart=dict(type="list", elements="str", default=[]),
            finish=dict(type="list", elements="str", default=[]),
            parallel=dict(type="int", default=2),
        ),
        supports_check_mode=True,
    )
    params = module.params
    done = None
    if not re.match(r"[A-Za-z0-9][A-Za-z0-9_.-]{0,60}\Z", params["restore_id"]):
        module.fail_json(msg="restore_id %r: letters, digits, _ . and - only" % params["restore_id"])
    directory = os.path.join(params["restores_dir"], params["restore_id"])
    result = {"changed": False, "refused": False, "findings": [], "seconds": {}, "aside": os.path.join(directory, "aside")}
    try:
        backup, view = _arguments.opened(params)
        plan, findings, resumed = planned(params, backup, view, directory)
        result["findings"] = [finding.as_dict() for finding in findings]
        if any(finding.severity == "blocker" for finding in findings):
            result["refused"] = True
        elif module.check_mode:
            events = _restore_journal.Journal(directory)
            result["changed"] = _restore_plan.brings(plan) and not all(events.has(step["name"], "done") for step in plan["steps"])
        else:
            os.makedirs(directory, mode=0o700, exist_ok=True)
            if not resumed:
                write_document(os.path.join(directory, "plan.json"), dict(plan, told=result["findings"], asked=_asked(params)))
            services = _restore_services.Services(params["reload"], params["stop"], params["restart"], params["finish"])
            done = _restore.Restore(plan, backup, view, directory, services, params["parallel"], params["keep"], params["accept"])
            result["changed"] = done.run()
            result.update(seconds=done.times, findings=result["findings"] + [finding.as_dict() for finding in done.findings])
    except IntactError as exc:
        began = done is not None and bool(done.journal.events)
        module.fail_json(msg="%s%s" % (exc, again(done) if began else ""), changed=began, details=exc.details)
    except OSError as exc:
        module.fail_json(msg="the restore was cut: %s%s" % (exc, again(done)), changed=done is not None)
    if module._diff:
        result["diff"] = diff(plan)
    plan["identity"]["rows"] = {kind: [row.split(":", 1)[0] for row in rows] for kind, rows in plan["identity"]["rows"].items()}
    module.exit_json(plan=plan, **result)


if __name__ == "__main__":
    main()
