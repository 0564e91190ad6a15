#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: fleet_report
short_description: Draw the report of a fleet
version_added: 0.1.0
description:
  - Draws one HTML file, the same as JSON, and as text, from a fleet's journal and the reports of its flights.
  - Opens on the worst host and leads to each flight's own report. A fleet is as good as its worst host.
  - Runs where the directories are, usually on the controller (C(delegate_to=localhost)).
author:
  - Intact contributors (@intact-project)
attributes:
  check_mode:
    description: Judges the fleet and writes nothing.
    support: full
  diff_mode:
    description: The report is drawn anew; no difference is shown.
    support: none
options:
  directory:
    description: The fleet's directory, which gets C(fleet.html), C(fleet.json) and C(fleet.txt).
    type: path
    required: true
  flights:
    description: Directory with a folder for each flight.
    type: path
    required: true
  mode:
    description: File mode of the reports.
    type: str
    default: '0600'
seealso:
  - module: intact.hosting.fleet
  - module: intact.hosting.flight_report
"""

EXAMPLES = r"""
- name: Draw the fleet's report
  intact.hosting.fleet_report:
    directory: fleets/fleet-20261122t1134z
    flights: flights
  delegate_to: localhost
  become: false
"""

RETURN = r"""
verdict:
  description: The word of the worst host, or V(INTACT).
  returned: success
  type: str
  sample: INTACT
sentence:
  description: The verdict as one sentence.
  returned: success
  type: str
  sample: All 50 hosts are on the target release, and everything that was compared is still there.
worst:
  description: The worst host, empty when all are at a good end.
  returned: success
  type: str
  sample: ''
html:
  description: Path of the page.
  returned: success
  type: str
  sample: fleets/fleet-20261122t1134z/fleet.html
json:
  description: Path of the data.
  returned: success
  type: str
  sample: fleets/fleet-20261122t1134z/fleet.json
text:
  description: Path of the text.
  returned: success
  type: str
  sample: fleets/fleet-20261122t1134z/fleet.txt
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _fleet as _journal
from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._report import _fleet


def drawn_already(path, model):
    """Whether the report there says the same, but for the moment of its drawing."""
    try:
        old = read_document(path)
    except (OSError, ValueError):
        return False
    return dict(old, made="") == dict(json.loads(json.dumps(model)), made="")


def main():
    module = AnsibleModule(
        argument_spec=dict(
            directory=dict(type="path", required=True),
            flights=dict(type="path", required=True),
            mode=dict(type="str", default="0600"),
        ),
        supports_check_mode=True,
    )
    directory = module.params["directory"].rstrip("/")
    paths = {"html": os.path.join(directory, "fleet.html"), "json": os.path.join(directory, "fleet.json"), "text": os.path.join(directory, "fleet.txt")}
    try:
        mode = int(module.params["mode"], 8)
        model = _fleet.build(_fleet.load(directory, module.params["flights"]), os.path.basename(os.path.abspath(directory)), _flight.now())
        changed = not (all(os.path.exists(path) for path in paths.values()) and drawn_already(paths["json"], model))
        if changed and not module.check_mode:
            drawn = {"html": _fleet.page(model), "json": json.dumps(model, indent=1, sort_keys=True) + "\n", "text": _fleet.text(model)}
            for name, text in sorted(drawn.items()):
                write_atomic(paths[name], text.encode("utf-8", "backslashreplace"), mode)
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except OSError as exc:
        module.fail_json(msg="the report of %s cannot be drawn: %s" % (directory, exc))
    except ValueError:
        module.fail_json(msg="mode %r is not an octal file mode like 0600" % module.params["mode"])
    worst = model["hosts"][0] if model["hosts"] else None
    name = worst["host"] if worst and worst["state"] not in _journal.GOOD else ""
    module.exit_json(changed=changed, verdict=model["word"], sentence=model["sentence"], worst=name, **paths)


if __name__ == "__main__":
    main()
