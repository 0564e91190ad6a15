#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flight_report
short_description: Draw the report of a flight
version_added: 0.1.0
description:
  - Draws one HTML file without any reference to elsewhere, the same as JSON, and as text, from the files in a flight's directory and from nothing else.
  - The first screen answers whether it worked, whether anything is lost, and how long customers were without service.
  - V(INTACT) is said only when everything is there that proves it. What was not observed is never told as zero.
  - Runs where the directory is, usually on the controller (C(delegate_to=localhost)).
author:
  - Intact contributors (@intact-project)
attributes:
  check_mode:
    description: Judges the flight and writes nothing.
    support: full
  diff_mode:
    description: The report is drawn anew; no difference is shown.
    support: none
options:
  directory:
    description: The flight's directory, as it was copied from the host.
    type: path
    required: true
  flight_id:
    description: The flight's id. The directory's name when it is empty.
    type: str
    default: ''
  dest:
    description: Directory that gets C(report.html), C(report.json) and C(report.txt). O(directory) when it is left out.
    type: path
  mode:
    description: File mode of the reports. They hold customers' file names.
    type: str
    default: '0600'
seealso:
  - module: intact.hosting.flight
  - module: intact.hosting.gate
"""

EXAMPLES = r"""
- name: Draw the report
  intact.hosting.flight_report:
    directory: flights/web1-upgrade-20261122t1134z
  delegate_to: localhost
  become: false
  register: drawn
"""

RETURN = r"""
verdict:
  description: One of V(INTACT), V(LOSS), V(FAILED), V(STILL RUNNING), V(REFUSED).
  returned: success
  type: str
  sample: INTACT
sentence:
  description: The verdict as one sentence.
  returned: success
  type: str
  sample: web1 runs Debian 13, and everything that was compared is still there.
lost:
  description: Subjects that are lost or changed.
  returned: success
  type: list
  elements: str
  sample: []
caveats:
  description: What must be known besides the verdict.
  returned: success
  type: list
  elements: str
  sample: []
html:
  description: Path of the page.
  returned: success
  type: str
  sample: flights/web1-upgrade-20261122t1134z/report.html
json:
  description: Path of the data.
  returned: success
  type: str
  sample: flights/web1-upgrade-20261122t1134z/report.json
text:
  description: Path of the text.
  returned: success
  type: str
  sample: flights/web1-upgrade-20261122t1134z/report.txt
"""

import json
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._report import _html, _load, _model, _text


def drawn_already(path, model):
    """Whether the report there says the same, but for the moment of its drawing."""
    try:
        old = read_document(path)
    except (OSError, ValueError):
        return False
    plain = json.loads(json.dumps(model))
    return dict(old, made="") == dict(plain, made="")


def main():
    module = AnsibleModule(
        argument_spec=dict(
            directory=dict(type="path", required=True),
            flight_id=dict(type="str", default=""),
            dest=dict(type="path"),
            mode=dict(type="str", default="0600"),
        ),
        supports_check_mode=True,
    )
    directory = module.params["directory"].rstrip("/")
    dest = module.params["dest"] or directory
    paths = {"html": os.path.join(dest, "report.html"), "json": os.path.join(dest, "report.json"), "text": os.path.join(dest, "report.txt")}
    try:
        flight = _flight.check_id(module.params["flight_id"] or os.path.basename(os.path.abspath(directory)))
        mode = int(module.params["mode"], 8)
        model = _model.build(_load.load(directory), flight, _flight.now())
        changed = not (all(os.path.exists(path) for path in paths.values()) and drawn_already(paths["json"], model))
        if changed and not module.check_mode:
            os.makedirs(dest, mode=0o700, exist_ok=True)
            drawn = {"html": _html.page(model), "json": json.dumps(model, indent=1, sort_keys=True) + "\n", "text": _text.report(model)}
            for name, text in sorted(drawn.items()):
                write_atomic(paths[name], text.encode("utf-8", "backslashreplace"), mode)
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except OSError as exc:
        module.fail_json(msg="the report of %s cannot be drawn: %s" % (directory, exc))
    except ValueError:
        module.fail_json(msg="mode %r is not an octal file mode like 0600" % module.params["mode"])
    verdict = model["verdict"]
    module.exit_json(
        changed=changed,
        verdict=verdict["word"],
        sentence=verdict["sentence"],
        lost=[f.get("subject", "") for f in model["lost"]],
        caveats=model["caveats"],
        **paths,
    )


if __name__ == "__main__":
    main()
