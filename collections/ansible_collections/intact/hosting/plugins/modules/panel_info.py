#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell which control panels are on a host, what they know, and how their exports are."""

from __future__ import annotations

DOCUMENTATION = r"""
module: panel_info
short_description: Tell which control panels are on a host, what they know, and how their exports are
version_added: 0.1.0
description:
  - Detects panels by their files, takes each one's inventory by another route than its export (SQL, files), and reads the documents of its exports.
  - Changes nothing. Secrets are not returned, neither are digests of them.
extends_documentation_fragment:
  - intact.hosting.info
  - intact.hosting.info.findings
  - intact.hosting.panel
options:
  inventory:
    description: V(none) asks no panel for its objects, V(counts) tells how many there are of each kind, V(full) also names them with their settings.
    type: str
    choices: [none, counts, full]
    default: counts
  max_age_hours:
    description: How old the newest proven export of a panel may be; an older one, or none, is a finding. V(0) does not judge.
    type: float
    default: 0
seealso:
  - module: intact.hosting.panel_export
  - module: intact.hosting.panel_verify
"""

EXAMPLES = r"""
- name: Which panels are there, and are they exported
  intact.hosting.panel_info:
    max_age_hours: 26
  register: panels

- name: Every mailbox that the panel knows
  intact.hosting.panel_info:
    panels: [plesk]
    inventory: full
  register: known
"""

RETURN = r"""
panels:
  description: The panels, in the order of detection.
  returned: success
  type: list
  elements: dict
  contains:
    name: {description: The driver's name., type: str, returned: always, sample: plesk}
    title: {description: The panel's., type: str, returned: always, sample: Plesk Obsidian}
    version: {description: What the panel says; empty when its files do not tell., type: str, returned: always, sample: 18.0.62}
    met:
      description: V(real) when the driver was tested against the real panel, V(stand-in) when against documented facts.
      type: str
      returned: always
      sample: real
    root: {description: Where it is., type: str, returned: always, sample: /usr/local/psa}
    keys:
      description: Key material that belongs to an export.
      type: list
      elements: str
      returned: always
      sample: [/etc/psa/private/secret_key]
    daily:
      description: The panel's own dumps, each with C(path), C(made), and what it C(holds) and C(lacks).
      type: list
      elements: dict
      returned: always
      sample: []
    objects: {description: Number of objects of each kind., type: dict, returned: unless O(inventory=none), sample: {domain: 12, mailbox: 212}}
    unlooked:
      description: What could not be looked at, each with C(what) and C(why).
      type: list
      elements: dict
      returned: unless O(inventory=none)
      sample: []
    inventory: {description: The inventory document without digests of secrets., type: dict, returned: when O(inventory=full), sample: {}}
    exports:
      description: Its exports, newest first, each with C(id), C(path), C(verdict), C(mode), C(hours), C(bytes), C(objects) and C(digest).
      type: list
      elements: dict
      returned: always
      sample: [{id: 20261122t153000z-settings, verdict: proven, hours: 3.2}]
findings:
  description: What is wrong, such as a panel without a proven export that is young enough.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import datetime

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _arguments, _state
from ansible_collections.intact.hosting.plugins.module_utils._panels._registry import chosen
from ansible_collections.intact.hosting.plugins.module_utils._system import System

SPEC = dict(
    _arguments.SPEC,
    inventory={"type": "str", "choices": ["none", "counts", "full"], "default": "counts"},
    max_age_hours={"type": "float", "default": 0},
)


def main():
    """Look, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params, system = module.params, System()
    now = datetime.datetime.now(datetime.timezone.utc)
    try:
        looked = [_state.look(system, driver, found, params["inventory"], params["dir"], now) for driver, found in chosen(system, params["panels"])]
        hours, host_id = params["max_age_hours"], _state.host_of(system)[1]
        findings = [finding for told, more, held in looked for finding in more + (_state.stale(told["name"], held, now, hours, host_id) if hours else [])]
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="%s can't be read: %s; run it as root" % (exc.filename or "a file", exc.strerror))
    module.exit_json(changed=False, panels=[told for told, _more, _held in looked], findings=_arguments.shown(findings))


if __name__ == "__main__":
    main()
