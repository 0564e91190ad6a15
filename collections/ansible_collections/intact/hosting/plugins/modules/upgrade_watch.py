#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Documentation of the action plugin of the same name."""

from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_watch
short_description: Watch the upgrade that a host does by itself
version_added: 0.1.0
description:
  - Polls the state of the runner that M(intact.hosting.upgrade_runner) started until it is done, has failed or was stopped.
  - A lost connection is normal, the host reboots and replaces its sshd. Watching goes on when it answers again.
  - Ending this task ends the watching only. The host goes on.
options:
  flight_id:
    description: The flight.
    type: str
    required: true
  progress_directory:
    description: Directory on the controller where each poll is written to C(progress.json), for the callback that draws it.
    type: path
  poll:
    description: Seconds between two looks.
    type: float
    default: 3
  lost_limit:
    description: Seconds without an answer after which watching ends with what to do next.
    type: int
    default: 1800
  held_stages:
    description: Ends when the runner waits before one of these stages, which somebody has to confirm first.
    type: list
    elements: str
    default: []
  opened:
    description: When the flight was opened, in ISO 8601, for the callback.
    type: str
    default: ''
  budget_seconds:
    description: How long the whole flight may take, for the callback. V(0) is no budget.
    type: int
    default: 0
  budgets:
    description: How long each stage may take, for the callback, as a mapping of stage to seconds.
    type: dict
    default: {}
attributes:
  action:
    description: Runs on the controller and looks through the connection. Needs no Python on the host.
    support: full
  check_mode:
    description: Is skipped in check mode, as nothing runs then.
    support: full
  diff_mode:
    description: Has nothing to show.
    support: none
seealso:
  - module: intact.hosting.upgrade_runner
author: Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Watch until it is done
  intact.hosting.upgrade_watch:
    flight_id: "{{ flight_id }}"
    progress_directory: "flights/{{ flight_id }}"
"""

RETURN = r"""
held:
  description: The stage before which the runner waits, when that is why watching ended; else empty.
  returned: always
  type: str
  sample: reboot
state:
  description: The runner's last state.
  returned: always
  type: dict
stages:
  description: The stages that were begun, in their order, with their result and seconds.
  returned: always
  type: list
  elements: dict
gaps:
  description: When and for how many seconds the host could not be reached.
  returned: always
  type: list
  elements: dict
"""
