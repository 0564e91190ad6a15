#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read an export of a control panel again, and tell whether it is still good."""

from __future__ import annotations

DOCUMENTATION = r"""
module: panel_verify
short_description: Read an export of a control panel again, and tell whether it is still good
version_added: 0.1.0
description:
  - Does with an export, an old one or one that was copied to another machine, what M(intact.hosting.panel_export) did when it was made; each stored file is
    held against the digest of that time, each archive is read to its last byte, and every object of the inventory is looked for. Nothing is restored.
  - Nothing is written but what a panel's own check needs in the clear, in a private directory that is removed.
  - A finding does not fail the module, a caller decides by RV(findings).
extends_documentation_fragment:
  - intact.hosting.info
  - intact.hosting.info.findings
  - intact.hosting.panel.passphrase
author:
  - Intact contributors (@intact-project)
options:
  path:
    description: The export's directory.
    type: path
    required: true
  native:
    description: Also let the panel on this host check it, when it is there and has a check.
    type: bool
    default: false
seealso:
  - module: intact.hosting.panel_export
  - module: intact.hosting.panel_info
"""

EXAMPLES = r"""
- name: Is the export of last week still good
  intact.hosting.panel_verify:
    path: /var/lib/intact/panel/plesk/20261115t011500z-settings
    passphrase_file: /etc/intact/panel/passphrase
  register: verified
"""

RETURN = r"""
verdict:
  description: V(proven), V(unproven) or V(failed), as it was found now.
  returned: success
  type: str
  sample: proven
export:
  description: What the export's document says, among it C(panel), C(host), C(id), C(taken), C(objects) and the C(verdict) of its making.
  returned: success
  type: dict
  sample: {panel: plesk, host: web1, id: 20261115t011500z-settings, verdict: proven}
findings:
  description: What is wrong, each with panel, kind and object.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import datetime

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _arguments, _export, _run, _state
from ansible_collections.intact.hosting.plugins.module_utils._panels._registry import driver
from ansible_collections.intact.hosting.plugins.module_utils._system import System

SPEC = dict({"path": {"type": "path", "required": True}, "native": {"type": "bool", "default": False}}, **_arguments.PASSPHRASE)


def main():
    """Read, judge, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params, system = module.params, System()
    try:
        document = _export.read(params["path"])
        panel = driver(document["panel"])
        found = panel.detect(system) if params["native"] else None
        document, findings, verdict = _run.verify(panel, params["path"], params["passphrase_file"], system, found)
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="%s can't be read: %s" % (exc.filename or params["path"], exc.strerror))
    held = _export.Held(params["path"], document["panel"], document["id"], document)
    export = _state.state(held, datetime.datetime.now(datetime.timezone.utc))
    module.exit_json(changed=False, verdict=verdict, export=export, findings=_arguments.shown(findings))


if __name__ == "__main__":
    main()
