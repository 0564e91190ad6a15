#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell whether a host can go back to before its upgrade, and what that would cost."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback_info
short_description: Tell whether a host can go back, and what was written since
version_added: 0.1.0
description:
  - Reads which way back the flight's runner took before its first change, and whether it is still there and whole.
  - With O(preview) it looks at mail, databases and the mail queue again and tells what differs from the look before the flight. Reads only.
options:
  flight_id:
    description: The flight. Empty is the open one, else the newest that has an earlier baseline.
    type: str
    default: ''
  preview:
    description: Whether to look at what was written since.
    type: bool
    default: false
  baseline_options:
    description: Options of the baseline's sections, the same as for the look before the flight.
    type: dict
    default: {}
  baseline_limits:
    description: Limits of the baseline's sections.
    type: dict
    default: {}
extends_documentation_fragment:
  - intact.hosting.info
  - intact.hosting.reconnect
seealso:
  - module: intact.hosting.rollback
author: Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Ask what going back would cost
  intact.hosting.rollback_info:
    preview: true
  register: __way_back
"""

RETURN = r"""
flight_id:
  description: The flight, empty when the host has none.
  returned: success
  type: str
  sample: web1-upgrade-20261122t1134z
driver:
  description: The driver of its way back, empty when none was taken.
  returned: success
  type: str
  sample: lvm
name:
  description: The exact name of the snapshot.
  returned: success
  type: str
  sample: intact-web1-upgrade-20261122t1134z
position:
  description:
    - V(new) when the upgraded system runs, V(switched) when the next boot is the old one, V(old) when the old system runs, empty without a way back.
  returned: success
  type: str
  sample: new
taken:
  description: When the snapshot was taken.
  returned: success
  type: str
  sample: '2026-11-22T11:36:02.120Z'
refusals:
  description: Why the host can't go back, sentences. Empty when it can.
  returned: success
  type: list
  elements: str
  sample: []
percent:
  description: How full the snapshot is.
  returned: success
  type: float
  sample: 12.5
settled:
  description: Whether the old system has put everything back.
  returned: success
  type: bool
  sample: false
record:
  description: What was done of the way back, with the seconds of each step.
  returned: success
  type: dict
  sample: {}
preview:
  description: What would be saved, C(mailboxes), C(databases) with their tables, C(queue) and C(blind), what no look can tell.
  returned: success
  type: dict
  sample: {}
lines:
  description: The preview as lines for people.
  returned: success
  type: list
  elements: str
  sample: ['mailbox anna INBOX: 12 messages, now 14']
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _kept
from ansible_collections.intact.hosting.plugins.module_utils._rollback._back import Back, chosen
from ansible_collections.intact.hosting.plugins.module_utils._rollback._stage import KEY
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _install, _state

NOTHING = {
    "driver": "",
    "name": "",
    "position": "",
    "taken": "",
    "refusals": [],
    "percent": 0.0,
    "settled": False,
    "record": {},
    "preview": {},
    "lines": [],
}


def look(flight, params):
    """What the module returns of a flight."""
    result = dict(NOTHING, flight_id=flight)
    state = _state.load(flight) if flight else None
    if not state or not state["memory"].get(KEY):
        result["refusals"] = ["flight %s took no snapshot: no way back was decided before take-off" % flight if flight else "this host has no flight"]
        return result
    back = Back(flight, _install.read_job(flight), {"baseline_options": params["baseline_options"], "baseline_limits": params["baseline_limits"]})
    position, record = back.position(), back.record
    result.update(driver=back.driver.NAME, name=back.facts["name"], position=position, taken=back.facts.get("taken") or "", record=record)
    result["settled"] = record.get("settled") is not None
    if position == "new":
        result["refusals"] = back.refusals()
        result["percent"] = float(back.driver.state(back.place, back.facts)["percent"])
        if params["preview"]:
            result["preview"] = back.preview()
            result["lines"] = _kept.preview_lines(result["preview"])
    return result


def main():
    """Read and tell."""
    module = AnsibleModule(
        argument_spec={
            "flight_id": {"type": "str", "default": ""},
            "preview": {"type": "bool", "default": False},
            "baseline_options": {"type": "dict", "default": {}},
            "baseline_limits": {"type": "dict", "default": {}},
            "reconnect_seconds": {"type": "int", "default": 0},
        },
        supports_check_mode=True,
    )
    try:
        result = look(chosen(module.params["flight_id"]), module.params)
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
