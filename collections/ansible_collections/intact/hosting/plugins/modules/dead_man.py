#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Arm and disarm the alarm that a host raises by itself when nobody says in time that its upgrade ended well."""

from __future__ import annotations

DOCUMENTATION = r"""
module: dead_man
short_description: Arm or disarm the alarm of a host that nobody hears of
version_added: 0.1.0
description:
  - The runner that M(intact.hosting.upgrade_runner) started arms the alarm before it reboots the host.
  - When nobody disarms it in time, the host writes the event C(alarm) into the flight's journal and onto its console, and calls the operator's program.
  - Disarm it when a verdict is there, whatever the verdict is.
options:
  flight_id:
    description: The flight.
    type: str
    required: true
  state:
    description: Whether the alarm is to be waited for.
    type: str
    choices: [armed, disarmed]
    default: disarmed
  minutes:
    description: Minutes until the alarm, from now and again from each boot. Needed for V(armed).
    type: int
  command:
    description: A program on the host with its whole path and its arguments. No shell reads them. Only root may be able to change it.
    type: list
    elements: str
    default: []
attributes:
  check_mode:
    description: Can run in check mode and tell what it would do, without doing it.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
seealso:
  - module: intact.hosting.upgrade_runner
author: Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Say that somebody knows how the upgrade ended
  intact.hosting.dead_man:
    flight_id: "{{ flight_id }}"
    state: disarmed

- name: Wait for a sign of life once more
  intact.hosting.dead_man:
    flight_id: "{{ flight_id }}"
    state: armed
    minutes: 45
    command: [/usr/local/sbin/page-somebody, upgrade]
"""

RETURN = r"""
before:
  description: How it was, V(armed), V(struck) or V(off).
  returned: always
  type: str
  sample: armed
struck:
  description: Whether the alarm was raised.
  returned: always
  type: bool
msg:
  description: What was done, in one sentence.
  returned: always
  type: str
  sample: the dead-man check is disarmed
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _deadman, _state

SPEC = {
    "flight_id": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["armed", "disarmed"], "default": "disarmed"},
    "minutes": {"type": "int"},
    "command": {"type": "list", "elements": "str", "default": []},
}


def main():
    """Look, act, tell."""
    module = AnsibleModule(argument_spec=SPEC, required_if=[("state", "armed", ["minutes"])], supports_check_mode=True)
    params = module.params
    try:
        host = _deadman.host_of(params["flight_id"], _state.ROOT)
        before = _deadman.state(host.directory)
        result = {"changed": params["state"] == "armed" or before == "armed" or bool(_deadman.units()), "before": before, "struck": before == "struck"}
        settings = {"dead_man": {"minutes": params["minutes"] or 0, "command": params["command"]}}
        if params["state"] == "armed":
            if (params["minutes"] or 0) < 1:
                raise IntactError("minutes is %d: give one or more" % params["minutes"])
            _deadman.check(settings)
            result["msg"] = "the dead-man check would be armed" if module.check_mode else _deadman.arm(host, settings)
        elif module.check_mode:
            result["msg"] = "the dead-man check would be disarmed" if before == "armed" else "the dead-man check is not armed"
        else:
            result["msg"] = _deadman.disarm(host) or "the dead-man check is not armed"
            # It may have struck while it was being disarmed.
            result["struck"] = _deadman.state(host.directory) == "struck"
    except IntactError as exc:
        following = getattr(exc, "following", "")
        module.fail_json(msg=str(exc) + ("; " + following if following else ""), **exc.details)
    except OSError as exc:
        module.fail_json(msg="the dead-man check of flight %s is as it was: %s" % (params["flight_id"], exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
