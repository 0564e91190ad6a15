#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell how old, how good and how proved a host's backups are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_state_info
short_description: Tell how old, how good and how proved a host's backups are
version_added: 0.1.0
description:
  - Reads what the host knows of its backups and judges it by the job's limits. Stale, failed, never restored and never read back are findings. Reads only.
options:
  job:
    description: Path on the host of the job.
    type: path
    default: /etc/intact/backup/job.json
  runs:
    description: How many of the last runs to return.
    type: int
    default: 1
extends_documentation_fragment:
  - intact.hosting.info
  - intact.hosting.info.findings
seealso:
  - module: intact.hosting.backup_run
author:
  - Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Ask how old the backups are
  intact.hosting.backup_state_info:
  register: backups

- name: Refuse to go on with a stale one
  ansible.builtin.assert:
    that: backups['findings'] | selectattr('severity', 'eq', 'blocker') | list | length == 0
"""

RETURN = r"""
findings:
  description: What is stale, failed, unproven or not read back. Waivers are not applied.
  returned: success
  type: list
  elements: dict
  sample: []
state:
  description: For each repository and class the last try, the last success and the proof.
  returned: success
  type: dict
  sample: {schema: 1, host: web1, repositories: {}}
classes:
  description: Classes that this host has to have a backup of.
  returned: success
  type: list
  elements: str
  sample: [system, files]
waivers:
  description: The job's waivers, for the gate.
  returned: success
  type: list
  elements: dict
  sample: []
runs:
  description: The last runs, the newest first. One that works says in V(stage), V(bytes), V(bytes_total) and V(eta) how far it is.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._backup import _main, _progress
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System


def main():
    """Read, judge, tell."""
    module = AnsibleModule(argument_spec={"job": {"type": "path", "default": _main.JOB}, "runs": {"type": "int", "default": 1}}, supports_check_mode=True)
    try:
        job = _main.read_job(module.params["job"])
        state, findings, classes = _main.judged(job, System())
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    runs = _progress.runs(os.path.join(_main.HOME, "runs"))[::-1][: max(0, module.params["runs"])]
    module.exit_json(changed=False, findings=[f.as_dict() for f in findings], state=state, classes=classes, waivers=job["waivers"], runs=runs)


if __name__ == "__main__":
    main()
