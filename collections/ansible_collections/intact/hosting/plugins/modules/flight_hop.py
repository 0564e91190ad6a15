#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flight_hop
short_description: Begin the next release of an upgrade over several
version_added: 0.1.0
description:
  - An upgrade from Debian 11 to 13 is two hops in one flight, each with its own look before, plan, gates, stages and look after.
  - Puts what the hop before left (looks, plan, verdicts, the runner's state and backups) into C(hop-NUMBER) of its directory.
  - Then it writes the event C(flight.hop) to the journal.
  - Refuses while the hop before is not done, or when its post-flight did not say GO.
  - Called again for a hop that has begun, it changes nothing.
  - Without O(source) and O(target) it only ends what a cut left half put aside, which must be done before anything else looks at the flight.
author:
  - Intact contributors (@intact-project)
attributes:
  check_mode:
    description: Tells whether a hop would begin.
    support: full
  diff_mode:
    description: The journal is the record; no difference is shown.
    support: none
options:
  flight_id:
    description: The flight.
    type: str
    required: true
  source:
    description: The release that the host runs now, as the report shows it.
    type: str
    default: ''
  target:
    description: The release that this hop goes to.
    type: str
    default: ''
seealso:
  - module: intact.hosting.flight
  - module: intact.hosting.upgrade_runner
"""

EXAMPLES = r"""
- name: Go on to the next release
  intact.hosting.flight_hop:
    flight_id: "{{ flight.flight_id }}"
    source: Debian 12
    target: Debian 13
"""

RETURN = r"""
hop:
  description: The number of the hop that the flight is in, from 1.
  returned: success
  type: int
  sample: 2
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _hops


def main():
    """Begin the hop, tell its number."""
    module = AnsibleModule(
        argument_spec={"flight_id": {"type": "str", "required": True}, "source": {"type": "str", "default": ""}, "target": {"type": "str", "default": ""}},
        required_together=[("source", "target")],
        supports_check_mode=True,
    )
    flight, source, target = (module.params[name] for name in ("flight_id", "source", "target"))
    try:
        before = _flight.hops(_flight.read(flight)[0])
        if not source:
            finished = _hops.finish(flight, check=module.check_mode)
            module.exit_json(changed=finished > 0, hop=finished or before)
        number = _hops.begin(flight, source, target, check=module.check_mode)
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except OSError as exc:
        module.fail_json(msg="what hop %d left cannot be put aside: %s. Make room or mend what it names, then start again" % (before, exc))
    module.exit_json(changed=number != before, hop=number)


if __name__ == "__main__":
    main()
