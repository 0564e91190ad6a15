#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of the same name, and what it runs on a host: nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet
short_description: Take many hosts through their flights in waves
version_added: 0.1.0
description:
  - Keeps the journal of a fleet on the controller, makes its waves, and decides whether the next one may begin.
  - A wave with a host that is lost, red or still in the middle stops the fleet. Hosts of that wave finish, all others stay untouched.
  - This is an action plugin. It runs on the controller and connects to nothing.
author:
  - Intact contributors (@intact-project)
options:
  state:
    description:
      - V(opened) opens a fleet, or goes on with the one of the same hosts that is open, and makes the waves.
      - V(wave) begins a wave unless the one before stops the fleet. A host that began and never ended is lost.
      - V(begun) and V(ended) write down when a host flies and what became of it.
      - V(closed) judges the fleet, and closes it when every host is at a good end.
    type: str
    choices: [opened, wave, begun, ended, closed]
    required: true
  root:
    description: Directory on the controller that holds the fleets.
    type: path
    required: true
  fleet_id:
    description: The fleet. Not for O(state=opened).
    type: str
    default: ''
  fresh:
    description: With O(state=opened), begin a new fleet also where one of the same hosts is open.
    type: bool
    default: false
  looked:
    description: With O(state=opened), what was found of each host. A host of O(hosts) that is not in it could not be reached.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {type: str, required: true, description: The host.}
      state: {type: str, required: true, choices: [ready, open, refused, lost, done, watched], description: What it is.}
      reason: {type: str, default: '', description: Why.}
      flight: {type: str, default: '', description: Its flight.}
  waves:
    description: Sizes of the waves, numbers of hosts or percentages of all of them. The last one repeats.
    type: list
    elements: str
    default: ['1', 10%, 100%]
  canary:
    description: Hosts that come first.
    type: list
    elements: str
    default: []
  on_refusal:
    description: Whether a host that its pre-flight refuses is left out, or stops the fleet.
    type: str
    choices: [continue, stop]
    default: continue
  wave_budget_seconds:
    description: A wave that took longer stops the fleet. V(0) sets no budget.
    type: int
    default: 0
  wave:
    description: Number of the wave.
    type: int
    default: 0
  hosts:
    description: With O(state=opened) all hosts in their order, with O(state=wave) those of the wave.
    type: list
    elements: str
    default: []
  host:
    description: With V(begun) and V(ended), the host.
    type: str
    default: ''
  outcome:
    description: With O(state=ended), one of V(intact), V(watched), V(done), V(refused), V(open), V(rolled-back), V(failed), V(loss) and V(lost).
    type: str
    default: ''
  flight:
    description: With O(state=ended), the host's flight.
    type: str
    default: ''
  reason:
    description: With O(state=ended), why.
    type: str
    default: ''
attributes:
  check_mode:
    description: Makes waves and writes nothing.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  action:
    description: Runs on the controller.
    support: full
seealso:
  - module: intact.hosting.fleet_report
"""

EXAMPLES = r"""
- name: Make the waves
  intact.hosting.fleet:
    state: opened
    root: fleets
    hosts: [web1, web2, web3]
    looked:
      - {name: web1, state: ready}
      - {name: web2, state: ready}
      - {name: web3, state: refused, reason: the backup is not proven}
    waves: ['1', 100%]
"""

RETURN = r"""
fleet_id:
  description: The fleet.
  returned: with O(state=opened)
  type: str
  sample: fleet-20261122t1134z
directory:
  description: Its directory on the controller.
  returned: with O(state=opened)
  type: str
  sample: fleets/fleet-20261122t1134z
resumed:
  description: Whether an open fleet goes on.
  returned: with O(state=opened)
  type: bool
  sample: false
waves:
  description: The waves, each with C(wave) and C(hosts).
  returned: with O(state=opened)
  type: list
  elements: dict
  sample: [{wave: 1, hosts: [web1]}, {wave: 2, hosts: [web2]}]
queue:
  description: The hosts of all waves in their order, after each wave one that stands for the wave itself (C(keeper)).
  returned: with O(state=opened)
  type: list
  elements: dict
  sample: [{name: web1, wave: 1, keeper: false}, {name: intact-wave-1, wave: 1, keeper: true}]
sizes:
  description: How many of the queue belong to each wave.
  returned: with O(state=opened)
  type: list
  elements: int
  sample: [2]
stop:
  description: Why no further wave begins. Empty when one may.
  returned: with O(state=opened), O(state=wave) and O(state=closed)
  type: str
  sample: ''
verdict:
  description: The state of the worst host.
  returned: with O(state=closed)
  type: str
  sample: intact
left:
  description: Hosts that are not at a good end.
  returned: with O(state=closed)
  type: list
  elements: str
  sample: []
flights:
  description: Hosts and their flights.
  returned: with O(state=closed)
  type: dict
  sample: {web1: web1-upgrade-20261122t1134z}
closed:
  description: Whether every host is at a good end.
  returned: with O(state=closed)
  type: bool
  sample: true
"""
