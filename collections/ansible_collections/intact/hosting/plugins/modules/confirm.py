#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of the same name, and what it runs on the host: nothing of its own."""

from __future__ import annotations

DOCUMENTATION = r"""
module: confirm
short_description: Ask those who must say yes before a step of an upgrade
version_added: 0.1.0
description:
  - Asks who is named, at the terminal, by a file or by an approval, and writes who said yes, when and to what into the flight's journal.
  - What was confirmed in a flight is not asked again in it.
  - This is an action plugin. The host waits by itself (O(intact.hosting.upgrade_runner#module:hold_before)), so a controller that goes away changes nothing.
author:
  - Intact contributors (@intact-project)
options:
  state:
    description:
      - V(told) checks the settings and says who will be asked; it fails when somebody is to be asked at a terminal and there is none.
      - V(pending) returns before which stages the host has to wait.
      - V(asked) asks those who are named for O(before), one after the other.
    type: str
    choices: [told, pending, asked]
    default: asked
  flight_id:
    description: The flight. Empty with O(state=told) before it is open.
    type: str
    default: ''
  before:
    description: The step that is to be confirmed with O(state=asked), a stage or V(gate).
    type: str
    default: ''
  confirmations:
    description: Who is asked before what.
    type: list
    elements: dict
    default: []
    suboptions:
      before: {type: str, required: true, description: 'A stage, or V(gate) for the take-off after a pre-flight that said go.'}
      who: {type: str, required: true, description: 'Whose consent it is, such as the data centre.'}
      how: {type: str, required: true, choices: [prompt, file, approval], description: How they say yes.}
      path: {type: str, default: '', description: 'With V(file), the file that is created with the name of who says yes in its first line.'}
      place: {type: str, default: controller, choices: [controller, host], description: Where that file is. On the host it must be root's.}
      minutes: {type: float, default: 60, description: How long is waited for a file or an answer.}
  approved_before:
    description: Steps that were approved, separated by commas.
    type: str
    default: ''
  approved_by:
    description: Who approved them.
    type: str
    default: ''
  poll:
    description: Seconds between two looks for a file.
    type: float
    default: 5
attributes:
  check_mode:
    description: Tells who would be asked, and asks nobody.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  action:
    description: Runs on the controller.
    support: full
seealso:
  - module: intact.hosting.upgrade_runner
  - module: intact.hosting.flight_event
"""

EXAMPLES = r"""
- name: Ask the data centre before the reboot
  intact.hosting.confirm:
    flight_id: web1-upgrade-20261130t0100z
    before: reboot
    confirmations:
      - before: reboot
        who: the data centre
        how: file
        path: /run/intact/web1-reboot
        minutes: 30
"""

RETURN = r"""
asked:
  description: Who is asked how, as sentences; those who answered in this flight are left out.
  returned: always
  type: list
  elements: str
  sample: [before stage reboot the data centre writes a name into /run/intact/web1-reboot on the controller (within 30 minutes)]
stages:
  description: Stages before which somebody has yet to be asked.
  returned: always
  type: list
  elements: str
  sample: [reboot]
answers:
  description: The confirmations that were given now, with C(before), C(who), C(by), C(how) and C(what).
  returned: always
  type: list
  elements: dict
  sample: []
"""
