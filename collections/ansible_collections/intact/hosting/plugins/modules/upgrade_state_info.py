#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell how far the upgrade that a host does by itself is."""

from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_state_info
short_description: Tell how far the upgrade of a flight is
version_added: 0.1.0
description:
  - Reads what the runner that M(intact.hosting.upgrade_runner) started wrote about itself. Reads only.
options:
  flight_id:
    description: The flight. Empty tells only which release the host runs.
    type: str
    default: ''
extends_documentation_fragment:
  - intact.hosting.info
  - intact.hosting.reconnect
seealso:
  - module: intact.hosting.upgrade_runner
author: Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Ask how far the upgrade is
  intact.hosting.upgrade_state_info:
    flight_id: "{{ flight_id }}"
  register: __found
"""

RETURN = r"""
action:
  description: What starting it now would mean, V(start), V(attach), V(continue) or V(nothing) when it is done.
  returned: always
  type: str
  sample: attach
point_of_no_return:
  description: Whether the target release's packages are being installed already.
  returned: always
  type: bool
state:
  description: The runner's state, empty when it never started.
  returned: always
  type: dict
release_path:
  description: The name of the release path of the flight's job, empty when there is none.
  returned: always
  type: str
  sample: debian-12-13
release:
  description: The release that runs now, with C(id), C(version) and C(codename).
  returned: always
  type: dict
stages:
  description: The names of all stages, in their order.
  returned: always
  type: list
  elements: str
  sample: [bind, quiesce]
directory:
  description: The runner's directory, empty without a flight.
  returned: always
  type: str
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _install, _stages, _state

ACTIONS = {"running": "attach", "waiting-reboot": "attach", "done": "nothing", "failed": "continue", "stopped": "continue", "rolled-back": "nothing"}


def main():
    """Read and tell."""
    module = AnsibleModule(
        argument_spec={"flight_id": {"type": "str", "default": ""}, "reconnect_seconds": {"type": "int", "default": 0}},
        supports_check_mode=True,
    )
    flight = module.params["flight_id"]
    result = {"changed": False, "action": "start", "point_of_no_return": False, "state": {}, "release_path": "", "directory": ""}
    result["stages"] = list(_stages.ORDER)
    try:
        result["release"] = _install.release()
        if flight:
            result["directory"] = _state.directory(flight)
            state = _state.load(flight)
            if state:
                result.update(state=state, action=ACTIONS[state["status"]], point_of_no_return=state["point_of_no_return"])
                try:
                    result["release_path"] = _install.read_job(flight)["release_path"]["name"]
                except IntactError:
                    # Before the point of no return the next start writes another one.
                    if result["action"] != "continue" or state["point_of_no_return"]:
                        raise
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
