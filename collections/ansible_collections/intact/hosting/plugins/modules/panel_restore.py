#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restore a control panel's settings, all or nothing."""

from __future__ import annotations

DOCUMENTATION = r"""
module: panel_restore
short_description: Restore a control panel's settings, all or nothing
version_added: 0.1.0
description:
  - Sources are tried by proof and not by date. Proven exports, newest first, then unproven ones that pass now, the panel's own dumps, what was rescued before,
    and disks of an old server. Each is verified now; those that are refused are named with the reason.
  - The restore is a transaction. The panel's databases, configuration and services are kept on the disk and read back before the import begins; afterwards
    come the panel's own repair and check, and a comparison with the source's inventory. If anything is off, everything is put back.
  - A restore that was cut, by a kill or a power failure as well, is found by its journal when this is started next, and undone first.
  - A database server that died meanwhile is started again; its own tables, when they are damaged, are put back from the checkpoint.
  - Nothing happens when the host already has all that the source has.
  - A finding does not fail the module, a caller decides by RV(status) and RV(findings).
extends_documentation_fragment:
  - intact.hosting.info.findings
  - intact.hosting.panel.passphrase
  - intact.hosting.panel.rescue
author:
  - Intact contributors (@intact-project)
attributes:
  check_mode:
    description: Can run in check mode. The source is chosen and verified as in a run, and the plan is told; what is made for that is gone afterwards.
    support: full
  diff_mode:
    description: Names the objects that come or become others, and those that only this host has.
    support: full
  idempotent:
    description: Run twice, the second run does not change anything.
    support: full
    details: Unless O(force) is set.
options:
  restore_id:
    description: The restore's name, for its journal. The same name again is another attempt in the same journal.
    type: str
    required: true
  panel:
    description: Name of a driver, such as V(plesk). Empty is the panel that is found, if it is the only one.
    type: str
    default: ''
  exports:
    description: Directories of exports besides those in O(dir), such as copies from a backup.
    type: list
    elements: path
    default: []
  disks:
    description: Roots of old servers' disks, mounted read-only. The last resort; the panels' own dumps on them come before.
    type: list
    elements: path
    default: []
  host:
    description:
      - Whose panel it is, by the name or machine-id of its server. Exports and dumps of another server are refused, as a fresh server exports its empty
        panel as well.
      - Empty is the server of the first of O(disks), else this host.
    type: str
    default: ''
  source:
    description: Only this source, by an export's id or a path. Empty is the chain of all.
    type: str
    default: ''
  accept:
    description: Shell patterns of objects (C(plesk domain old.example.com)) that only this host has and that may be lost or changed.
    type: list
    elements: str
    default: []
  accept_damaged:
    description: Go on when a database of the panel is so damaged that only a part of it can be kept in the checkpoint.
    type: bool
    default: false
  force:
    description: Import also when the host has all that the source has.
    type: bool
    default: false
  undo:
    description:
      - Go back behind the committed restore O(restore_id), to the checkpoint before it. What was changed since is lost as well.
      - O(restore_id) is all that counts then.
    type: bool
    default: false
  abandon:
    description: Leave a restore that was cut and can't be undone as it is, and begin anew.
    type: bool
    default: false
  prove_checkpoint:
    description: Load the checkpoint's dumps into a private server and compare, before anything is changed.
    type: bool
    default: true
  keep:
    description: How many attempts keep their checkpoints. Journals always stay.
    type: int
    default: 3
  native:
    description: Let the panel check an export of this host itself, where it has a check.
    type: bool
    default: true
  restores_dir:
    description: Where journals and checkpoints are (0700).
    type: path
    default: /var/lib/intact/panel/restores
  mysql_defaults_file:
    description: Option file on the host with a login for MariaDB or MySQL. Empty is the panel's own login, or root's.
    type: path
    default: ''
  options:
    description: Options of the driver, such as C(ignore_signature) and C(backup_password_file) of Plesk's.
    type: dict
    default: {}
seealso:
  - module: intact.hosting.panel_export
  - module: intact.hosting.panel_verify
  - module: intact.hosting.panel_rescue
"""

EXAMPLES = r"""
- name: Bring the panel's settings back from whatever is proven, at the latest from the old disk
  intact.hosting.panel_restore:
    restore_id: plesk-20261122
    disks: [/mnt/old]
    passphrase_file: /etc/intact/panel/passphrase
  register: restored

- name: Go back behind it
  intact.hosting.panel_restore:
    restore_id: plesk-20261122
    undo: true
"""

RETURN = r"""
status:
  description:
    - V(restored), V(unchanged) (the host has all), V(refused) (nothing was changed), V(rolled-back) (the host is as it was before) or V(failed) (the way back
      left something; it is tried again at the next start). In check mode V(would-restore) and V(would-undo).
  returned: success
  type: str
  sample: restored
plan:
  description: What is taken, kept and changed.
  returned: success
  type: dict
  contains:
    source: {description: The source that was taken., type: dict, returned: always, sample: {kind: proven, name: 20261122t153000z-settings}}
    checkpoint: {description: 'Paths, databases and services that are kept.', type: dict, returned: always, sample: {databases: ['mariadb:psa']}}
    objects: {description: Number of objects of each kind in the source., type: dict, returned: always, sample: {domain: 12}}
    changes: {description: Objects that the host lacks or has otherwise., type: list, elements: str, returned: always, sample: []}
    only_here: {description: Objects that only the host has., type: list, elements: str, returned: always, sample: []}
    readable: {description: Whether the panel could be asked before., type: bool, returned: always, sample: true}
recovered:
  description: Restores that had been cut, and what became of them.
  returned: success
  type: list
  elements: dict
  sample: [{id: plesk-20261121, status: rolled-back}]
journal:
  description: The restore's journal so far.
  returned: success
  type: list
  elements: dict
  sample: [{event: stage.end, stage: checkpoint, result: ok}]
journal_path:
  description: Where it is.
  returned: success
  type: str
  sample: /var/lib/intact/panel/restores/plesk-20261122/journal.jsonl
findings:
  description: Sources that were refused, and whatever went wrong, each with its subject.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _arguments, _registry, _rescue_arguments, _restores, _restoring, _run
from ansible_collections.intact.hosting.plugins.module_utils._system import System

SPEC = dict(
    _arguments.PASSPHRASE,
    **_rescue_arguments.SPEC,
    restore_id={"type": "str", "required": True},
    exports={"type": "list", "elements": "path", "default": []},
    disks={"type": "list", "elements": "path", "default": []},
    host={"type": "str", "default": ""},
    source={"type": "str", "default": ""},
    accept={"type": "list", "elements": "str", "default": []},
    accept_damaged={"type": "bool", "default": False},
    force={"type": "bool", "default": False},
    undo={"type": "bool", "default": False},
    abandon={"type": "bool", "default": False},
    prove_checkpoint={"type": "bool", "default": True},
    keep={"type": "int", "default": 3},
    native={"type": "bool", "default": True},
    restores_dir={"type": "path", "default": _restores.RESTORES},
    mysql_defaults_file={"type": "path", "default": ""},
    options={"type": "dict", "default": {}},
)


def diff(plan):
    """Before and after as text."""
    before = ["only here: %s" % subject for subject in plan.get("only_here", [])]
    after = ["%s comes or becomes another" % line.rpartition(": ")[0] for line in plan.get("changes", [])]
    if plan.get("source"):
        after.insert(0, "source: %(kind)s %(name)s" % plan["source"])
    return {"before": "".join(line + "\n" for line in before), "after": "".join(line + "\n" for line in after)}


def carry_out(work, params, check):
    """Foresee, undo or restore."""
    chosen = {name: params[name] for name in ("exports", "disks", "host", "source", "how", "accept", "force")}
    if params["undo"]:
        work.undo(check)
    elif check:
        work.foresee(**chosen)
    else:
        work.run(accept_damaged=params["accept_damaged"], load=params["prove_checkpoint"], abandon=params["abandon"], keep=params["keep"], **chosen)


def main():
    """Choose, plan, restore unless in check mode, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params, work = module.params, None
    defaults = {"mysql_defaults_file": params["mysql_defaults_file"]} if params["mysql_defaults_file"] else {}
    settings = _run.Settings(root=params["dir"], passphrase_file=params["passphrase_file"], native=params["native"])
    try:
        # not mutually_exclusive of Ansible's: for that a false one is given too, and the role gives both
        if params["undo"] and params["force"]:
            raise IntactError("undo and force are mutually exclusive: go back first, then restore")
        if params["keep"] < 1:
            raise IntactError("keep is %d: at least the newest checkpoint stays" % params["keep"])
        view = System(dict(params["options"], **defaults))
        driver = _rescue_arguments.driver(params["panel"], view)
        work = _restoring.Restoring(driver, _registry.driver, view, settings, params["restore_id"], params["restores_dir"], params["scratch_dir"])
        carry_out(work, params, module.check_mode)
    except IntactError as exc:
        module.fail_json(msg=str(exc), changed=bool(work and work.changed), details=exc.details, findings=_arguments.shown(work.findings if work else []))
    except OSError as exc:
        module.fail_json(msg="%s: %s; run it again, it goes on where it was" % (exc.filename or "a file", exc.strerror), changed=bool(work and work.changed))
    result = {"changed": work.changed, "status": work.status, "plan": work.plan, "recovered": work.recovered}
    if module._diff:
        result["diff"] = diff(work.plan)
    path = os.path.join(params["restores_dir"], params["restore_id"], "journal.jsonl")
    module.exit_json(journal=work.journal(), journal_path=path, findings=_arguments.shown(work.findings), **result)


if __name__ == "__main__":
    main()
