#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Take a host back to the system before its upgrade, by the way that was decided before take-off."""

from __future__ import annotations

DOCUMENTATION = r"""
module: rollback
short_description: Take a host back to the system before its upgrade
version_added: 0.1.0
description:
  - Lets what writes for customers rest, saves what was written since the look before the flight, tells the snapshot what it is, and makes it what boots next.
  - That last step is one step. A cut before it leaves the upgraded system, one after it the old one. Called again, it goes on.
  - When a step fails, the services run again and the host is the upgraded system as before.
options:
  flight_id:
    description: The flight. Empty is the open one, else the newest that has an earlier baseline.
    type: str
    default: ''
  state:
    description:
      - V(back) goes back. V(saved) does its first half, up to what is saved, and lets the services rest, so that what was saved can be fetched.
      - V(resumed) starts these services again, when going back is not gone on with after V(saved).
      - V(settled) is for the old system. It waits for what is under way and puts the rest back, such as C(/boot).
      - V(dropped) removes the snapshot, or the upgraded tree after going back, for good. Without one there is nothing to do.
    type: str
    choices: [back, saved, resumed, settled, dropped]
    default: back
  who:
    description: Who decided it, for the journal.
    type: str
    default: ''
  why:
    description: Why, for the journal.
    type: str
    default: ''
  accept_unsaved:
    description: Go back also when something that was written since could not be saved. It is lost then.
    type: bool
    default: false
  trees:
    description: Directories whose files that changed since are saved too, for example uploads.
    type: list
    elements: path
    default: []
  reboot:
    description: Reboot some seconds after everything is ready.
    type: bool
    default: true
  wait:
    description: How many seconds O(state=settled) waits for what is under way. Ask again until RV(settled).
    type: int
    default: 60
  baseline_options:
    description: Options of the baseline's sections, the same as for the look before the flight.
    type: dict
    default: {}
  baseline_limits:
    description: Limits of the baseline's sections.
    type: dict
    default: {}
attributes:
  check_mode:
    description: Can run in check mode and tell whether it would go back, without changing anything.
    support: full
  diff_mode:
    description: Shows what would be saved.
    support: full
  idempotent:
    description: A host that went back is not taken back again.
    support: full
extends_documentation_fragment:
  - intact.hosting.reconnect
seealso:
  - module: intact.hosting.rollback_info
author: Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Go back
  intact.hosting.rollback:
    flight_id: "{{ flight_id }}"
    who: "{{ lookup('env', 'USER') }}"
    why: the shop's mail does not leave

- name: Put the rest back, in the system that is back
  intact.hosting.rollback:
    flight_id: "{{ flight_id }}"
    state: settled
"""

RETURN = r"""
position:
  description: V(new), V(switched) or V(old), see M(intact.hosting.rollback_info).
  returned: success
  type: str
  sample: switched
record:
  description: What was done, with the seconds of each step, C(counts) of what was saved, C(settled) with sentences.
  returned: success
  type: dict
  sample: {}
settled:
  description: Whether the old system has put everything back.
  returned: success
  type: bool
  sample: false
kept:
  description: Where what was saved lies, also in the system that comes back. Empty before it.
  returned: success
  type: str
  sample: /var/lib/intact/kept/web1-upgrade-20261122t1134z
lines:
  description: What was, or would be, saved, as lines for people.
  returned: success
  type: list
  elements: str
  sample: ['mailbox anna INBOX: 2 messages saved']
rebooting:
  description: Whether the host reboots in some seconds.
  returned: success
  type: bool
  sample: true
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._files import read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _kept
from ansible_collections.intact.hosting.plugins.module_utils._rollback._back import Back, chosen
from ansible_collections.intact.hosting.plugins.module_utils._rollback._stage import KEY
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _install, _state

SPEC = {
    "flight_id": {"type": "str", "default": ""},
    "state": {"type": "str", "choices": ["back", "saved", "resumed", "settled", "dropped"], "default": "back"},
    "who": {"type": "str", "default": ""},
    "why": {"type": "str", "default": ""},
    "accept_unsaved": {"type": "bool", "default": False},
    "trees": {"type": "list", "elements": "path", "default": []},
    "reboot": {"type": "bool", "default": True},
    "wait": {"type": "int", "default": 60},
    "baseline_options": {"type": "dict", "default": {}},
    "baseline_limits": {"type": "dict", "default": {}},
    "reconnect_seconds": {"type": "int", "default": 0},
}
NOTHING = {"changed": False, "position": "new", "record": {}, "lines": [], "rebooting": False, "kept": "", "settled": False}


def act(module, back):
    """Do what the state asks for; returns the result."""
    wanted, check = module.params["state"], module.check_mode
    position = back.position()
    result = {"changed": False, "position": position, "record": back.record, "lines": [], "rebooting": False, "kept": "", "settled": False}
    if wanted == "dropped":
        there = back.driver.state(back.place, back.facts)["whole"] or position == "old"
        if not check:
            result["lines"] = [said for said in [back.drop()] if said]
        result["changed"] = bool(result["lines"]) if not check else there
    elif wanted == "resumed":
        result["lines"] = list(back.record.get("stopped") or []) if check else back.resume()
        result["changed"] = bool(result["lines"])
        return result
    elif wanted == "settled":
        result["changed"] = result["record"].get("settled") is None
        result["settled"] = not result["changed"]
        if not check:
            result["record"], progress = back.settle(module.params["wait"])
            result["settled"] = result["record"].get("settled") is not None
            result["lines"] = result["record"]["settled"] if result["settled"] else [progress]
    elif position != "old":
        result["changed"] = True
        if check:
            refused = back.refusals() if position == "new" else []
            if refused:
                raise IntactError("; ".join(refused))
            result["lines"] = _kept.preview_lines(back.preview()) if position == "new" else []
        else:
            result["record"] = back.go(until="save" if wanted == "saved" else "")
            result["position"] = back.position() if wanted == "saved" else "switched"
            if wanted == "back" and module.params["reboot"]:
                back.reboot()
                result["rebooting"] = True
    path = os.path.join(back.kept, back.flight)
    if os.path.isdir(path) and not check:
        result["kept"] = path
        result["lines"] = result["lines"] or _kept.lines(read_document(os.path.join(path, _kept.NAME)))
    if module._diff:
        result["diff"] = {"before": "", "after": "".join(line + "\n" for line in result["lines"]), "after_header": "saved before going back"}
    return result


def main():
    """Read, act, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        flight = chosen(module.params["flight_id"])
        if not flight:
            raise IntactError("this host has no flight to go back from: name it in flight_id")
        if module.params["state"] == "dropped" and not ((_state.load(flight) or {}).get("memory") or {}).get(KEY):
            # None was decided in time, or the attempt that took it has given it back.
            module.exit_json(**NOTHING)
        result = act(module, Back(flight, _install.read_job(flight), module.params))
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except OSError as exc:
        module.fail_json(msg="the host did not go back: %s" % exc)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
