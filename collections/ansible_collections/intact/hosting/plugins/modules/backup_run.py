#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Back a host up now."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_run
short_description: Back up a host's classes into all of its repositories
version_added: 0.1.0
description:
  - Runs the backup program that the role P(intact.hosting.host_backup#role) put on the host, with the job that it left there, and waits for its end.
  - Each class is looked at with the baseline's eyes, backed up into every repository, looked at again, and each repository's list
    of the new snapshot is held against what was seen. While it works, the host's C(/var/lib/intact/backup/runs) tells how far it is.
  - A run that was killed in the middle is continued, what it had finished is not done again.
  - A finding does not fail the module, a caller decides by RV(findings) and RV(status).
options:
  classes:
    description: Classes that are backed up. All that are enabled and in use when empty.
    type: list
    elements: str
    choices: [files, databases, mail, lists, panel, system]
    default: []
  job:
    description: Path on the host of the job.
    type: path
    default: /etc/intact/backup/job.json
  wait:
    description:
      - How long to wait, in seconds, for a backup that works on this host already. V(0) does not wait.
    type: int
    default: 0
extends_documentation_fragment:
  - intact.hosting.info.findings
attributes:
  check_mode:
    description: Can run in check mode and tell what would be backed up. Nothing is written, neither on the host nor in a repository.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check mode), when in diff mode.
    support: none
  idempotent:
    description: Run twice, the second run does not change anything.
    support: none
    details: Every run makes snapshots.
seealso:
  - module: intact.hosting.backup_state_info
  - module: intact.hosting.backup_check
author:
  - Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Back up before the maintenance
  intact.hosting.backup_run:
  register: backed_up

- name: Back up the system and the panel only
  intact.hosting.backup_run:
    classes: [system, panel]
"""

RETURN = r"""
status:
  description: V(ok), V(findings) (snapshots are there and something is wrong with them), or V(failed). In check mode V(would-run).
  returned: success
  type: str
  sample: ok
run:
  description: The run's name. It is in the tags of its snapshots.
  returned: when it ran
  type: str
  sample: 20261122t153000z-ab12
classes:
  description: What was, or would be, backed up.
  returned: success
  type: list
  elements: str
  sample: [system, databases, files]
done:
  description: For each class and repository the snapshot, result, counts and seconds.
  returned: when it ran
  type: dict
  sample: {files: {vault: {snapshot: 1a2b3c, result: ok, counts: {files: 120001}, seconds: 21.5}}}
findings:
  description: What is wrong, each with its waiver where there is one.
  returned: always
  type: list
  elements: dict
  sample: []
"""

import time

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._backup import _main, _run
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System

CLASSES = ["files", "databases", "mail", "lists", "panel", "system"]
SPEC = {
    "classes": {"type": "list", "elements": "str", "choices": CLASSES, "default": []},
    "job": {"type": "path", "default": _main.JOB},
    "wait": {"type": "int", "default": 0},
}


def patient(job, classes, seconds):
    """One run, once the one that works is through."""
    until = time.monotonic() + seconds
    while True:
        try:
            return _main.backup(job, classes)
        except _run.Busy:
            if time.monotonic() >= until:
                raise
            time.sleep(5)


def main():
    """Read, act unless in check mode, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    result = {"changed": False, "findings": []}
    try:
        job = _main.read_job(params["job"])
        result["classes"] = [name for name in _main.in_use(job, System()) if not params["classes"] or name in params["classes"]]
        result["changed"] = True
        if module.check_mode:
            module.exit_json(status="would-run", **result)
        document = patient(job, params["classes"], params["wait"])
        result.update({key: document[key] for key in ("status", "run", "done", "findings")})
    except _run.Busy as exc:
        result.update(exc.details, changed=False)
        module.fail_json(msg="%s: %s" % (job["host"], exc), **result)
    except IntactError as exc:
        module.fail_json(msg=str(exc), **dict(result, **exc.details))
    except OSError as exc:
        module.fail_json(msg="%s: the backup was cut: %s; make room or mend the disk, and back up again" % (job["host"], exc), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
