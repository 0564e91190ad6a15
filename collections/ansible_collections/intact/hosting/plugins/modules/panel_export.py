#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Export control panels' settings, and prove the exports."""

from __future__ import annotations

DOCUMENTATION = r"""
module: panel_export
short_description: Export control panels' settings, and prove the exports
version_added: 0.1.0
description:
  - Takes the panel's inventory by another route than its export, lets the panel export, and reads what it wrote to the last byte, through every nested archive.
  - An export is V(proven) only when every object of the inventory was found in it, saying something, and every reference in it leads somewhere; where the panel
    has a check or an import of its own, these are used too. The panel's exit status alone proves nothing.
  - The export gets its name by a rename as the last step; one that failed stays beside the others as C(.failed), the newest only.
  - While it works, C(.progress.json) beside the export tells stage, bytes and the last lines, and the host's journal has each line.
  - A finding does not fail the module, a caller decides by RV(findings).
extends_documentation_fragment:
  - intact.hosting.info.findings
  - intact.hosting.panel
  - intact.hosting.panel.passphrase
attributes:
  check_mode:
    description: Can run in check mode and tell what would be exported and removed. The panel is asked whether it is busy and has room; nothing is written.
    support: full
  diff_mode:
    description: Tells the newest proven export before and after, and which exports go.
    support: full
  idempotent:
    description: With O(max_age_hours), a proven export that is young enough, undamaged and as O(mode) and O(passphrase_file) want it is left alone.
    support: partial
    details: Without O(max_age_hours) each run makes an export.
options:
  mode:
    description: V(settings) leaves customers' data to M(intact.hosting.backup_run); V(full) has it in the export as well.
    type: str
    choices: [settings, full]
    default: settings
  max_age_hours:
    description: How old a proven export may be so that no new one is made. V(0) always makes one.
    type: float
    default: 0
  keep:
    description:
      - How many proven exports of each panel, mode and server stay. What is older than those goes, after the newest was read again.
      - What was rescued from a disk or from a dump of the panel's stays, whatever was exported since.
    type: int
    default: 7
  keep_unproven:
    description:
      - How many unproven exports stay of those that are older than the newest proven one, or of all where none is proven.
      - One goes only when a newer one was read whole; when none is proven, that is a warning.
    type: int
    default: 7
  wait:
    description: How long to wait, in seconds, for a panel that is busy. V(0) does not wait.
    type: int
    default: 0
  native:
    description: Let the panel check its own export, where it has a check.
    type: bool
    default: true
  scratch:
    description: Import the export into an instance of its own and compare rows, where the driver can.
    type: bool
    default: true
seealso:
  - module: intact.hosting.panel_info
  - module: intact.hosting.panel_verify
"""

EXAMPLES = r"""
- name: Export all panels unless that was done in the last 20 hours
  intact.hosting.panel_export:
    passphrase_file: /etc/intact/panel/passphrase
    max_age_hours: 20
    wait: 1800
  register: exported
"""

RETURN = r"""
exports:
  description: For each panel the export that counts now.
  returned: success
  type: list
  elements: dict
  contains:
    panel: {description: The driver's name., type: str, returned: always, sample: plesk}
    made: {description: Whether it is a new one., type: bool, returned: always, sample: true}
    path: {description: Where it is. Empty when there is none., type: str, returned: always, sample: /var/lib/intact/panel/plesk/20261122t153000z-settings}
    verdict: {description: V(proven) V(unproven) or V(failed); in check mode V(would-run)., type: str, returned: always, sample: proven}
    objects: {description: Number of objects of each kind., type: dict, returned: when there is one, sample: {domain: 12}}
    digest: {description: Of its document., type: str, returned: when there is one, sample: 'sha256:9f86d0'}
    lines: {description: The last lines of what was said while it was made., type: list, elements: str, returned: when one was made, sample: [proven]}
removed:
  description: Exports that went, or would go.
  returned: success
  type: list
  elements: str
  sample: []
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
from ansible_collections.intact.hosting.plugins.module_utils._panels import _arguments, _export, _main, _run, _state
from ansible_collections.intact.hosting.plugins.module_utils._panels._registry import chosen
from ansible_collections.intact.hosting.plugins.module_utils._system import System

SPEC = dict(
    _arguments.SPEC,
    mode={"type": "str", "choices": list(_export.MODES), "default": "settings"},
    max_age_hours={"type": "float", "default": 0},
    keep={"type": "int", "default": 7},
    keep_unproven={"type": "int", "default": 7},
    wait={"type": "int", "default": 0},
    native={"type": "bool", "default": True},
    scratch={"type": "bool", "default": True},
    **_arguments.PASSPHRASE,
)


def main():
    """Plan, export unless in check mode, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params, system = module.params, System()
    settings = _run.Settings(root=params["dir"], **{name: params[name] for name in _main.SETTINGS})
    now = datetime.datetime.now(datetime.timezone.utc)
    try:
        if params["keep"] < 1 or params["keep_unproven"] < 1:
            raise IntactError("keep is %d and keep_unproven %d: at least one export stays" % (params["keep"], params["keep_unproven"]))
        planned = _run.plan(chosen(system, params["panels"]), settings, _state.host_of(system)[1], now)
        before = _state.lines(settings, planned)
        outcomes = _run.foretell(system, planned, settings) if module.check_mode else _run.carry_out(system, planned, settings, module.log)
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="the export was cut: %s: %s" % (exc.filename or "a file", exc.strerror))
    removed = [path for outcome in outcomes for path in outcome.removed]
    result = {"changed": any(outcome.changed for outcome in outcomes), "removed": removed}
    if module._diff:
        result["diff"] = {"before": before, "after": _state.lines(settings, planned, outcomes)}
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    module.exit_json(exports=[outcome.told() for outcome in outcomes], findings=_arguments.shown(findings), **result)


if __name__ == "__main__":
    main()
