#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a drill's proof, and tell what it proves."""

from __future__ import annotations

DOCUMENTATION = r"""
module: proof_info
short_description: Read a drill's proof, and tell what it proves
version_added: 0.1.0
description:
  - Checks the digest, the signature, the age of each class's data and the number of repositories, as the pre-flight does.
author:
  - Intact contributors (@intact-project)
extends_documentation_fragment:
  - intact.hosting.info
  - intact.hosting.info.findings
options:
  path:
    description: The proof.
    type: path
    required: true
  signers:
    description: Text of an allowed-signers file, see ssh-keygen(1). Empty does not check who signed.
    type: str
    default: ''
  classes:
    description: The classes that have to be proven. Empty is those that the proof names.
    type: list
    elements: str
    default: []
  max_hours:
    description: How old a class's data may be.
    type: float
    default: 24
  repositories:
    description: From how many repositories each class has to be proven.
    type: int
    default: 2
"""

EXAMPLES = r"""
- name: Does the proof still hold
  intact.hosting.proof_info:
    path: /var/lib/intact/proofs/backup.json
    signers: "{{ lookup('ansible.builtin.file', 'proof_signers') }}"
"""

RETURN = r"""
proof:
  description: The document.
  returned: success
  type: dict
  sample: {kind: backup, host: web1, result: proven}
signer:
  description: Who signed it; empty when nobody did whom we know.
  returned: success
  type: str
  sample: drill@example.com
holds:
  description: Whether it proves what was asked.
  returned: success
  type: bool
  sample: true
findings:
  description: Why it does not.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import datetime

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _proofs
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError


def main():
    """Read, judge, tell."""
    module = AnsibleModule(
        argument_spec=dict(
            path=dict(type="path", required=True),
            signers=dict(type="str", default=""),
            classes=dict(type="list", elements="str", default=[]),
            max_hours=dict(type="float", default=24),
            repositories=dict(type="int", default=2),
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        proof = read_document(params["path"])
        if not isinstance(proof, dict) or not _proofs.shaped(proof):
            raise IntactError("%s is no drill's proof: make one with drill-restore.yml" % params["path"])
        who, wrong = "", []
        if params["signers"].strip():
            who, why = _proofs.signer(proof, params["signers"])
            wrong += [why] if why else []
        classes = params["classes"] or sorted({name for entry in proof["repositories"].values() for name in entry["classes"]})
        wrong += _proofs.weaknesses(proof, classes, params["max_hours"], datetime.datetime.now(datetime.timezone.utc), params["repositories"])
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except (OSError, ValueError) as exc:
        module.fail_json(msg="the proof %s cannot be read (%s): make one with drill-restore.yml" % (params["path"], exc))
    remedy = "drill again: drill-restore.yml"
    findings = [
        Finding(
            id="backup.unproven", severity="blocker", subject=str(proof.get("host")), title="the proof does not hold", evidence=why, remedy=remedy, check="PF33"
        )
        for why in wrong
    ]
    module.exit_json(changed=False, proof=proof, signer=who, holds=not findings, findings=[finding.as_dict() for finding in findings])


if __name__ == "__main__":
    main()
