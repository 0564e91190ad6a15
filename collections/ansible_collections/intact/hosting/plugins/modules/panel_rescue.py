#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Rescue a control panel's settings from an old server's disk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: panel_rescue
short_description: Rescue a control panel's settings from an old server's disk
version_added: 0.1.0
description:
  - Makes an export (inventory, settings, key) from a mounted root of an old server without starting the panel, and verifies it like any other.
  - Its database is opened on a private copy or through an overlay, by a server without a network; what a crash left undone is done there. Not one byte of the
    disk changes.
  - A finding does not fail the module, a caller decides by RV(verdict) and RV(findings).
extends_documentation_fragment:
  - intact.hosting.info.findings
  - intact.hosting.panel.passphrase
  - intact.hosting.panel.rescue
author:
  - Intact contributors (@intact-project)
attributes:
  check_mode:
    description: Can run in check mode and tell what is on the disk and how large its database is; no server is started and nothing is copied.
    support: full
  diff_mode:
    description: Tells the export that would be, or was, made.
    support: full
  idempotent:
    description: A disk that is mounted read-only, and of which there is a proven and undamaged rescue, is not opened again.
    support: partial
    details: A disk that can be written to is opened each time.
options:
  root:
    description: Where the disk's / is mounted; read-only, please.
    type: path
    required: true
  panel:
    description: Name of a driver, such as V(plesk_old). Empty is the panel that is found on the disk, if it is the only one.
    type: str
    default: ''
  force:
    description: Open the disk also when there is a proven rescue of it.
    type: bool
    default: false
seealso:
  - module: intact.hosting.panel_verify
  - module: intact.hosting.panel_restore
"""

EXAMPLES = r"""
- name: Rescue the panel's settings from the disk of the server that died
  intact.hosting.panel_rescue:
    root: /mnt/old
    passphrase_file: /etc/intact/panel/passphrase
  register: rescued
"""

RETURN = r"""
panel:
  description: The driver's name.
  returned: success
  type: str
  sample: plesk_old
verdict:
  description: V(proven), V(unproven) or V(failed); in check mode V(would-run).
  returned: success
  type: str
  sample: proven
path:
  description: Where the export is.
  returned: success
  type: str
  sample: /var/lib/intact/panel/plesk_old/20261122t153000z-settings
objects:
  description: Number of objects of each kind.
  returned: success
  type: dict
  sample: {domain: 12}
disk:
  description: What is on the disk.
  returned: success
  type: dict
  sample: {panel: plesk_old, version: '8.6.0', host: old1, datadir: /var/lib/mysql, bytes: 123456, programs: [/usr/sbin/mysqld]}
findings:
  description: What is wrong, each with panel, kind and object.
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _arguments, _rescue, _rescue_arguments, _run

SPEC = dict(
    _arguments.PASSPHRASE,
    **_rescue_arguments.SPEC,
    root={"type": "path", "required": True},
    force={"type": "bool", "default": False},
)


def main():
    """Look, rescue unless in check mode or done, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    settings = _run.Settings(root=params["dir"], passphrase_file=params["passphrase_file"])
    try:
        driver = _rescue_arguments.on_disk(params["panel"], params["root"])
        disk = _rescue.plan(driver, params["root"])
        held = None if params["force"] else _rescue.kept(driver, params["root"], settings)
        if held:
            outcome = _run.Outcome(driver.NAME, path=held.path, document=held.document)
        elif module.check_mode:
            outcome = _run.Outcome(driver.NAME, foretold=True)
        else:
            outcome = _rescue.from_disk(driver, params["root"], settings, params["scratch_dir"], params["how"])
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="the rescue was cut: %s: %s" % (exc.filename or "a file", exc.strerror))
    told = outcome.told()
    result = {"changed": outcome.changed, "path": told["path"], "verdict": told["verdict"], "objects": told.get("objects", {})}
    if module._diff:
        after = "%s: %s\n" % (driver.NAME, "a new export" if outcome.foretold else "%s, %s" % (outcome.path, outcome.verdict))
        result["diff"] = {"before": after if held else "", "after": after}
    module.exit_json(panel=driver.NAME, disk=disk, findings=_arguments.shown(outcome.findings), **result)


if __name__ == "__main__":
    main()
