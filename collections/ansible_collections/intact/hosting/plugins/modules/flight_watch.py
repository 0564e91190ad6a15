#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flight_watch
short_description: Watch a host for hours after its upgrade, without a controller
version_added: 0.1.0
description:
  - Puts a program and a timer on the host that looks once a minute at what a customer would miss and writes alarms into the flight's journal.
  - It is held against the look that the post-flight accepted. An alarm is raised when two looks in a row see the same, and cleared when it is over.
  - The flight stays open meanwhile. The controller is needed to start and to end the watch, not for its hours.
author:
  - Intact contributors (@intact-project)
attributes:
  check_mode:
    description: Tells what would be done.
    support: full
  diff_mode:
    description: Shows job and units as they are and as they will be.
    support: full
options:
  flight_id:
    description: The flight, which is open and whose post-flight was looked at.
    type: str
    required: true
  state:
    description:
      - V(started) begins the watch, or leaves the one that goes on as it is.
      - V(told) tells how it stands and how the flight would be closed now.
      - V(ended) takes program and timer away and writes the end into the journal. What was seen stays in O(home).
    type: str
    choices: [started, told, ended]
    default: started
  hours:
    description: For how long.
    type: float
    default: 24
  sections:
    description: Sections of the baseline that are looked at. Empty is V(mounts), V(network), V(resolver), V(services), V(sockets), V(sites) and V(dns).
    type: list
    elements: str
    default: []
  options:
    description: Options of the baseline's sections, the same as for the looks before and after.
    type: dict
    default: {}
  limits:
    description: Limits of the baseline's sections. 20 seconds each when it does not say.
    type: dict
    default: {}
  note:
    description: With O(state=ended), why it ends, for the journal.
    type: str
    default: ''
  home:
    description: Where reference and state are kept on the host.
    type: path
    default: /var/lib/intact/watch
  root:
    description: Directory that holds the flights on the host.
    type: path
    default: /var/lib/intact/flights
seealso:
  - module: intact.hosting.flight
  - module: intact.hosting.postflight_info
"""

EXAMPLES = r"""
- name: Watch the host for a day
  intact.hosting.flight_watch:
    flight_id: web1-upgrade-20261122t1134z
    hours: 24

- name: See how it stands
  intact.hosting.flight_watch:
    flight_id: web1-upgrade-20261122t1134z
    state: told
"""

RETURN = r"""
watching:
  description: Whether the watch goes on.
  returned: success
  type: bool
  sample: true
due:
  description: Whether its time is up.
  returned: success
  type: bool
  sample: false
verdict:
  description: How the flight would be closed now, V(intact), V(loss) or V(failed). Empty without a watch.
  returned: success
  type: str
  sample: intact
why:
  description: Why.
  returned: success
  type: str
  sample: 1440 looks, no alarm stands
until:
  description: When its time is up.
  returned: success
  type: str
  sample: '2026-11-23T11:34:05Z'
looks:
  description: How often was looked.
  returned: success
  type: int
  sample: 12
standing:
  description: Alarms that stand, with C(id), C(subject), C(title) and C(evidence).
  returned: success
  type: list
  elements: dict
  sample: []
"""

import datetime

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._watching import _alarms, _install, _main


def told(params, state):
    """The module's result about a watch."""
    now = datetime.datetime.now(datetime.timezone.utc)
    empty = {"due": False, "verdict": "", "why": "there is no watch"}
    how = _alarms.closing(state, now) if state else empty
    state = state or {}
    return dict(how, watching=bool(state), until=state.get("until", ""), looks=state.get("looks", 0), standing=_alarms.standing(state) if state else [])


def started(module, params):
    """Begin, or leave what goes on."""
    flight = params["flight_id"]
    if params["hours"] <= 0:
        raise IntactError("flight_watch_hours is %g: more than 0" % params["hours"])
    if _flight.current(params["root"]) != flight:
        raise IntactError("flight %s is not open on this host: a watch belongs to an open flight" % flight)
    state = _install.state(flight, params["home"])
    sections = _alarms.check_sections(params["sections"], list(_main.PROBES))
    job = {"flight": flight, "sections": state["sections"] if state else sections, "options": params["options"], "limits": params["limits"]}
    installer = _install.installer(job)
    idle = installer.idle_timers()
    changed = not state or bool(installer.changes) or bool(idle)
    result = {"changed": changed}
    if module._diff:
        result["diff"] = installer.diff()
    if not module.check_mode:
        # The program finds its reference when its timer first strikes.
        state = state or _install.start(job, params["hours"], params["home"], params["root"])
        installer.apply()
        installer.start_timers(idle)
    return dict(told(params, state), **result)


def ended(module, params):
    """Take it away."""
    there = _install.PLACE.installed()
    state = _install.state(params["flight_id"], params["home"])
    result = dict(told(params, state), changed=bool(there))
    if not module.check_mode:
        if there:
            _install.PLACE.remove()
        if state:
            _install.end(params["flight_id"], params["note"], params["home"], params["root"])
    return dict(result, watching=False)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            flight_id=dict(type="str", required=True),
            state=dict(type="str", choices=["started", "told", "ended"], default="started"),
            hours=dict(type="float", default=24),
            sections=dict(type="list", elements="str", default=[]),
            options=dict(type="dict", default={}),
            limits=dict(type="dict", default={}),
            note=dict(type="str", default=""),
            home=dict(type="path", default=_main.HOME),
            root=dict(type="path", default=_flight.FLIGHTS),
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        _flight.check_id(params["flight_id"])
        if params["state"] == "told":
            result = dict(told(params, _install.state(params["flight_id"], params["home"])), changed=False)
        else:
            result = (started if params["state"] == "started" else ended)(module, params)
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except OSError as exc:
        module.fail_json(msg="the watch could not be put in place: %s" % exc)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
