#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of the same name, and what it runs on the host: nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: gate
short_description: Decide by findings and waivers whether the work goes on
version_added: 0.1.0
description:
  - Holds findings against waivers, prints one table with the blockers first and each with its remedy, and fails when a blocker is left.
  - Writes the verdict to a file on the host, and an event to the flight's journal.
  - This is an action plugin; it runs on the controller and is the only thing that stops a flight.
author:
  - Intact contributors (@intact-project)
options:
  name:
    description: Which gate this is, as it is called in the table and in the journal.
    type: str
    required: true
  findings:
    description: Findings as modules of this collection return them.
    type: list
    elements: dict
    required: true
  checks:
    description: The checks that raised them, with their seconds, for the verdict file.
    type: list
    elements: dict
    default: []
  waivers:
    description: Findings that somebody answers for. One that is out of date makes its finding a blocker that says so.
    type: list
    elements: dict
    default: []
    suboptions:
      id: {type: str, required: true, description: The finding's id.}
      subject: {type: str, required: true, description: The finding's subject or a shell pattern.}
      reason: {type: str, required: true, description: Why it may be passed over.}
      who: {type: str, required: true, description: Who answers for it.}
      expires: {type: str, required: true, description: 'Last day, or moment in ISO 8601.'}
  binding:
    description: What the verdict is bound to, see M(intact.hosting.preflight_info). Goes into the verdict file.
    type: dict
    default: {}
  flight_id:
    description: The flight whose journal gets the event. Empty for none.
    type: str
    default: ''
  dest:
    description: Path on the host of the verdict file. Its directory has to be there.
    type: path
  enforce:
    description: Fail when a blocker is left. Off, it only tells.
    type: bool
    default: true
  waivers_variable:
    description: Name of the variable with the waivers, for the message that says what to do.
    type: str
  infos:
    description: Print notes too, which need nobody's attention.
    type: bool
    default: false
  width:
    description: Columns of the table. V(0) is the terminal's width, or 100 without a terminal.
    type: int
    default: 0
attributes:
  check_mode:
    description: Decides and prints the same in check mode, and writes nothing.
    support: full
  diff_mode:
    description: There is no difference to show.
    support: none
  action:
    description: Runs on the controller.
    support: full
seealso:
  - module: intact.hosting.preflight_info
  - module: intact.hosting.postflight_info
"""

EXAMPLES = r"""
- name: Go or no-go
  intact.hosting.gate:
    name: preflight
    findings: "{{ checked['findings'] }}"
    waivers:
      - id: backup.unproven
        subject: web1
        reason: the hosting company's snapshot of 03:00 was restored by hand this morning
        who: jane@example.com
        expires: '2026-11-30'
    dest: /var/lib/intact/flights/web1-20261130/preflight.json
    flight_id: web1-20261130
"""

RETURN = r"""
verdict:
  description: The decision.
  returned: always
  type: dict
  contains:
    go: {description: Whether the work may go on., type: bool}
    counts: {description: 'Open blockers, warnings and notes, and what was waived.', type: dict}
    findings:
      description:
        - The findings, blockers first, each with its status and waiver.
        - When the gate fails, only the blockers that are left; O(dest) has all.
      type: list
      elements: dict
table:
  description: The table as lines.
  returned: when the gate does not fail
  type: list
  elements: str
"""
