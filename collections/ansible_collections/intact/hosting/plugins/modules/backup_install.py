#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Put the backup's program, job, service and timers on a host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_install
short_description: Put the backup's program, job and timers on a host
version_added: 0.1.0
description:
  - Checks the job and refuses what can't work, such as fewer than two independent repositories.
    Then it writes program, job, service and timers, and starts the timers.
  - Asks each repository whether it opens. With O(init), one that is not there is made.
  - The secrets that the job names by file have to be on the host already. None of them is read by this module, only by restic.
options:
  job:
    description: The job, see the role P(intact.hosting.host_backup#role). It holds no secret.
    type: dict
  schedule:
    description: For each class that has a timer, C(calendar) (systemd's OnCalendar) and C(delay) (seconds, spread at random).
    type: dict
    default: {}
  init:
    description:
      - Make repositories that are not there.
      - Leave it off once they are. A repository that vanished would otherwise be replaced by an empty one without a word.
    type: bool
    default: false
  repositories:
    description: Ask the repositories. Off where their secrets are not on the host yet, as in check mode before the first run.
    type: bool
    default: true
  state:
    description: V(absent) takes program, service, timers and job away. State, secrets and repositories stay.
    type: str
    choices: [present, absent]
    default: present
extends_documentation_fragment:
  - intact.hosting.info.findings
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target. Whether a repository opens is asked in check mode too.
    support: full
  diff_mode:
    description: Shows job and units as they are and as they will be, and the number of the program's files.
    support: full
  idempotent:
    description: Run twice, the second run does not change anything.
    support: full
seealso:
  - module: intact.hosting.backup_run
author:
  - Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Back this host up every night
  intact.hosting.backup_install:
    job:
      host: "{{ inventory_hostname }}"
      repositories:
        - {name: vault, url: 'rest:https://vault.example.com/web1', password_file: /etc/intact/backup/secrets/vault.password}
        - {name: offsite, url: 'sftp:backup@offsite.example.com:/web1', password_file: /etc/intact/backup/secrets/offsite.password}
    schedule:
      files: {calendar: '*-*-* 02:00:00', delay: 1800}
"""

RETURN = r"""
changes:
  description: Paths that were, or would be, written or removed.
  returned: success
  type: list
  elements: str
  sample: [/etc/intact/backup/job.json]
timers:
  description: Timers that were, or would be, started.
  returned: success
  type: list
  elements: str
  sample: [intact-backup-files.timer]
initialised:
  description: Repositories that were, or would be, made.
  returned: success
  type: list
  elements: str
  sample: []
findings:
  description: Repositories that do not open.
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._backup import _install, _job, _outcome, _restic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

SPEC = {
    "job": {"type": "dict"},
    "schedule": {"type": "dict", "default": {}},
    "init": {"type": "bool", "default": False},
    "repositories": {"type": "bool", "default": True},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def repositories(job, init, check_mode):
    """(names of those that were made, findings about those that do not open)."""
    made, found = [], []
    for entry in job["repositories"]:
        restic = _restic.Restic(entry, job["program"], job["limits"])
        try:
            restic.identity()
            continue
        except _outcome.ResticError as exc:
            missing = exc.outcome.kind == "no-repository"
            if not (missing and init):
                found += exc.findings()
                continue
        wrong = [] if check_mode else restic.init().findings(entry["name"])
        found += wrong
        if not wrong:
            made.append(entry["name"])
    return made, found


def install(module, result):
    """Bring the host to what the job says."""
    params = module.params
    if not params["job"]:
        raise IntactError("job is needed: give it, or state=absent to take the backup away")
    job = _job.check(params["job"])
    installer = _install.Installer(job, params["schedule"])
    idle = installer.idle_timers()
    result.update(changes=[path for path, _before, _after in installer.changes], timers=idle)
    if module._diff:
        result["diff"] = installer.diff()
    result["changed"] = bool(installer.changes or idle)
    if not module.check_mode:
        installer.apply()
        installer.start_timers(idle)
    made, findings = repositories(job, params["init"], module.check_mode) if params["repositories"] else ([], [])
    result.update(initialised=made, findings=[finding.as_dict() for finding in findings], changed=result["changed"] or bool(made))


def main():
    """Read, plan, apply unless in check mode, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    result = {"changed": False, "changes": [], "timers": [], "initialised": [], "findings": []}
    try:
        if module.params["state"] == "present":
            install(module, result)
        else:
            result["changes"] = _install.installed()
            result["changed"] = bool(result["changes"])
            if not module.check_mode and result["changed"]:
                _install.remove()
    except IntactError as exc:
        module.fail_json(msg=str(exc), **dict(result, **exc.details))
    except OSError as exc:
        module.fail_json(msg="the backup could not be installed: %s" % exc, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
