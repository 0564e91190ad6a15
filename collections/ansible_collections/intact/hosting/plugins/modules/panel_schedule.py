#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Export control panels on a schedule of their own."""

from __future__ import annotations

DOCUMENTATION = r"""
module: panel_schedule
short_description: Export control panels on a schedule of their own
version_added: 0.1.0
description:
  - Puts a program, its job, a service and a timer on the host, which export and prove as M(intact.hosting.panel_export) does, without a controller.
  - The host's journal has what was said and the findings. A run with a blocker that is not waived ends as failed.
  - A backup of the class C(panel) (M(intact.hosting.backup_install)) that falls due while an export works waits for its end, and takes it to every repository.
options:
  job:
    description:
      - C(panels), C(dir), C(waivers) and the options of M(intact.hosting.panel_export) that say how. What it does not say has that module's default.
      - The passphrase's file has to be on the host already. It is named, and not read by this module.
    type: dict
  calendar:
    description: When, as C(OnCalendar) of systemd.
    type: str
    default: '*-*-* 00:15:00'
  delay:
    description: Spread at random over so many seconds.
    type: int
    default: 900
  state:
    description: V(absent) takes program, service, timer and job away. Exports and secrets stay.
    type: str
    choices: [present, absent]
    default: present
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Shows job and units as they are and as they will be, and the number of the program's files.
    support: full
  idempotent:
    description: Run twice, the second run does not change anything.
    support: full
seealso:
  - module: intact.hosting.panel_export
  - module: intact.hosting.backup_install
author:
  - Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Export the panels' settings every night
  intact.hosting.panel_schedule:
    job:
      passphrase_file: /etc/intact/panel/passphrase
      max_age_hours: 12
      wait: 3600
    calendar: '*-*-* 00:15:00'
"""

RETURN = r"""
changes:
  description: Paths that were, or would be, written or removed.
  returned: success
  type: list
  elements: str
  sample: [/etc/intact/panel/job.json]
timers:
  description: Timers that were, or would be, started.
  returned: success
  type: list
  elements: str
  sample: [intact-panel-export.timer]
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _install

SPEC = {
    "job": {"type": "dict"},
    "calendar": {"type": "str", "default": "*-*-* 00:15:00"},
    "delay": {"type": "int", "default": 900},
    "state": {"type": "str", "choices": ["present", "absent"], "default": "present"},
}


def install(module, result):
    """Bring the host to what the job says."""
    params = module.params
    installer = _install.installer(params["job"] or {}, {"calendar": params["calendar"], "delay": params["delay"]})
    idle = installer.idle_timers()
    result.update(changes=[path for path, _before, _after in installer.changes], timers=idle)
    result["changed"] = bool(installer.changes or idle)
    if module._diff:
        result["diff"] = installer.diff()
    if not module.check_mode:
        installer.apply()
        installer.start_timers(idle)


def main():
    """Read, plan, apply unless in check mode, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    result = {"changed": False, "changes": [], "timers": []}
    try:
        if module.params["state"] == "present":
            install(module, result)
        else:
            result["changes"] = _install.PLACE.installed()
            result["changed"] = bool(result["changes"])
            if result["changed"] and not module.check_mode:
                _install.PLACE.remove()
    except IntactError as exc:
        module.fail_json(msg=str(exc), **dict(result, **exc.details))
    except OSError as exc:
        module.fail_json(msg="the schedule could not be put in place: %s" % exc, **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
