#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flight_info
short_description: Tell which flight a host is on, or was last, and what its directory holds
version_added: 0.1.0
description:
  - Reads the flights that are kept on the host. Without O(flight_id) it tells of the flight that is open, or else of the
    newest one that holds an earlier baseline.
extends_documentation_fragment:
  - intact.hosting.reconnect
author:
  - Intact contributors (@intact-project)
attributes:
  check_mode:
    description: Only reads.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
options:
  flight_id:
    description: The flight asked for.
    type: str
    default: ''
  root:
    description: Directory on the host that holds the flights.
    type: path
    default: /var/lib/intact/flights
"""

EXAMPLES = r"""
- name: Which flight is this host on
  intact.hosting.flight_info:
  register: flight
"""

RETURN = r"""
flight_id:
  description: The flight, or empty when the host has none.
  returned: success
  type: str
  sample: web1-upgrade-20261122t1134z
directory:
  description: Its directory on the host, or empty.
  returned: success
  type: str
  sample: /var/lib/intact/flights/web1-upgrade-20261122t1134z
open:
  description: Whether it is the flight that is open.
  returned: success
  type: bool
  sample: true
files:
  description: Names of the files it holds, each true.
  returned: success
  type: dict
  sample: {journal.jsonl: true}
events:
  description: The flight's journal.
  returned: success
  type: list
  elements: dict
  sample: []
stages:
  description: Its stages in order, with start, end, seconds, result and attempts.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError


def main():
    module = AnsibleModule(
        argument_spec=dict(
            flight_id=dict(type="str", default=""),
            root=dict(type="path", default=_flight.FLIGHTS),
            reconnect_seconds=dict(type="int", default=0),
        ),
        supports_check_mode=True,
    )
    root = module.params["root"]
    current = _flight.current(root)
    flight = module.params["flight_id"] or current or _flight.newest("baseline-before.json.gz", root)
    result = dict(changed=False, flight_id=flight, directory="", open=False, files={}, events=[], stages=[])
    if flight:
        try:
            directory = _flight.directory(flight, root)
            events, _torn = _flight.read(flight, root)
        except IntactError as exc:
            module.fail_json(msg=str(exc))
        names = sorted(os.listdir(directory)) if os.path.isdir(directory) else []
        result.update(directory=directory, open=flight == current, files=dict.fromkeys(names, True), events=events, stages=_flight.stages(events))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
