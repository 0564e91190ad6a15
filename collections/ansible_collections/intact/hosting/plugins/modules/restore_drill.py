#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Read a host's backups back and prove that they can be restored."""

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_drill
short_description: Read a host's backups back and prove that they can be restored
version_added: 0.1.0
description:
  - Restores the newest run of each class from each repository into an empty scratch root, looks at it with the eyes that made its manifest, and compares.
  - Dumps are loaded into throw-away servers on private sockets, mailboxes are opened.
  - Writes a dated proof, signed when O(signing_key) is given. The scratch root is removed at the end, also after an error.
  - What changed each time it was read when it was backed up (the manifest's C(volatile)) is looked at from outside only, as its copy may be of another moment.
    A class of which too much was not compared is V(unproven), see O(uncompared_percent).
  - What differs is a finding; the module itself fails only when the drill could not be done at all.
author:
  - Intact contributors (@intact-project)
extends_documentation_fragment:
  - intact.hosting.repository
  - intact.hosting.info.findings
attributes:
  check_mode:
    description: Can run in check mode and tell whether the drill could begin. Nothing is restored and nothing is written.
    support: partial
    details:
      - Only the repositories' entries, the key and the scratch root are looked at. No repository is asked.
      - RV(findings) is empty and RV(result) is V(unproven).
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check mode), when in diff mode.
    support: none
  idempotent:
    description: Run twice, the second run does not change anything.
    support: none
    details: Every drill reads everything again.
options:
  repositories:
    description: The repositories, each with C(name), C(url), C(password_file) and what the job says of it besides, see M(intact.hosting.restore_run).
    type: list
    elements: dict
    required: true
  classes:
    description: The classes that have to be proven. Empty is all that a repository holds.
    type: list
    elements: str
    default: []
  scratch:
    description: The empty directory to restore into. Its filesystem must keep owners, access lists, attributes, capabilities and flags.
    type: path
    required: true
  live_paths:
    description: More places that something on this host works with and that no drill may touch.
    type: list
    elements: path
    default: []
  state:
    description: The host's own C(state.json) of its backups; its digests of manifests and its share of data read by checks are held against the repositories.
    type: dict
    default: {}
  signing_key:
    description: SSH key, mode 0600 and without a passphrase, that signs the proof. Empty signs none.
    type: path
    default: ''
  dest:
    description: Directory for C(proof.json) and C(findings.json).
    type: path
    required: true
  uncompared_percent:
    description:
      - How much of a class's files, of their bytes and of its database tables may be left uncompared, from 0 to 100.
      - A class of which more was left out, or of which nothing was compared, is V(unproven), with the blocker C(drill.uncompared).
      - The proof tells the limits that it was made with.
    type: float
    default: 5
  uncompared_objects:
    description:
      - How many files or tables may be left uncompared where O(uncompared_percent) of them would be fewer, whatever their bytes.
      - Without it one busy mailbox would be too much of three. Something else of the class must have been compared.
    type: int
    default: 3
  same_host_allowed:
    description: Drill on the host itself, which then needs no other machine to be restored on, and proves less.
    type: bool
    default: false
"""

EXAMPLES = r"""
- name: Read web1's backups back
  intact.hosting.restore_drill:
    host: web1
    repositories:
      - {name: vault, url: 'rest:https://vault.example.com:8000/web1/', password_file: /run/intact/vault.password}
    scratch: /var/lib/intact-drills/20261122t020000z
    dest: /var/lib/intact/drills/20261122t020000z
  register: drilled
"""

RETURN = r"""
findings:
  description: What was found, each with repository, class and object.
  returned: success
  type: list
  elements: dict
  sample: []
proof:
  description: The proof, see C(docs/backup.md).
  returned: success
  type: dict
  sample: {kind: backup, host: web1, result: proven}
result:
  description: C(proven), C(unproven) or C(failed).
  returned: success
  type: str
  sample: proven
summary:
  description: What the proof proves, in a line.
  returned: success
  type: str
  sample: '10 of 10 proven: databases files lists mail system, each from attic and vault; restored in 28 s, signed'
compared:
  description: How much of each class was compared, a line for each class of each repository; the proof has the numbers.
  returned: success
  type: list
  elements: str
  sample: ['vault mail: compared 212 of 214 files with 99.1 % of the bytes, 7 of 8 mailboxes']
path:
  description: Where the proof is.
  returned: success
  type: str
  sample: /var/lib/intact/drills/20261122t020000z/proof.json
swept:
  description: Scratch roots of killed drills that were removed.
  returned: success
  type: list
  elements: str
  sample: []
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _flight, _proofs
from ansible_collections.intact.hosting.plugins.module_utils._backup import _arguments, _drill, _proof, _scratch
from ansible_collections.intact.hosting.plugins.module_utils._files import write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System


def known(state):
    """{class: {run: sha256 of its manifest}} as the host's state tells."""
    out = {}
    for repository in (state.get("repositories") or {}).values():
        for name, held in (repository.get("classes") or {}).items():
            for entry in (held.get("last"), held.get("good")):
                if entry and entry.get("manifest") and entry.get("run"):
                    out.setdefault(name, {})[entry["run"]] = entry["manifest"]
    return out


def covered(state, repository):
    """The share of a repository's packs that checks have read, or None."""
    coverage = ((state.get("repositories") or {}).get(repository) or {}).get("coverage") or {}
    return round(len(coverage.get("read") or []) / coverage["parts"], 3) if coverage.get("parts") else None


def limit(params):
    """How much may be left uncompared, or IntactError."""
    percent, objects = params["uncompared_percent"], params["uncompared_objects"]
    if not 0 <= percent <= 100 or objects < 0:
        raise IntactError("uncompared_percent is a number from 0 to 100 and uncompared_objects is not negative; they are %g and %d" % (percent, objects))
    return {"percent": percent, "objects": objects}


def drill(params, sources):
    """(proof, findings)."""
    with _scratch.Scratch(params["scratch"], params["live_paths"]) as scratch:
        drilled = _drill.Drill(sources, scratch, params["host"], known(params["state"]), limit=limit(params))
        repositories = drilled.run(params["classes"])
    for name, entry in repositories.items():
        entry["covered"] = covered(params["state"], name)
    proof = _proof.document(params["host"], drilled.host_id, _flight.now(), repositories, params["classes"])
    return proof, drilled.findings + _proof.unproven(proof)


def own(proof, params):
    """A finding when the drill ran on the host that it is about: that proves nothing of a day on which this host is gone."""
    here = System().text("/etc/machine-id").strip()
    if not here or here != proof["host_id"]:
        return []
    if not params["same_host_allowed"]:
        raise IntactError("this is %s itself: drill on another host, or say same_host_allowed" % params["host"])
    return [
        Finding(
            id="drill.same_host",
            severity="warning",
            subject=params["host"],
            title="the drill ran on the host itself",
            evidence="credentials and programs were the ones that are lost with it",
            remedy="drill on another host: restore_drill_host",
            details={"change": "same"},
        )
    ]


def main():
    """Restore into the scratch root unless in check mode, compare, tell."""
    module = AnsibleModule(
        argument_spec=dict(
            _arguments.SPEC,
            repositories=dict(type="list", elements="dict", required=True),
            classes=dict(type="list", elements="str", default=[]),
            scratch=dict(type="path", required=True),
            live_paths=dict(type="list", elements="path", default=[]),
            state=dict(type="dict", default={}),
            signing_key=dict(type="path", default="", no_log=False),
            dest=dict(type="path", required=True),
            uncompared_percent=dict(type="float", default=5),
            uncompared_objects=dict(type="int", default=3),
            same_host_allowed=dict(type="bool", default=False),
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        swept = [] if module.check_mode else _scratch.sweep(_scratch.OURS)
        sources = {entry.get("name"): _arguments.source(entry, params) for entry in params["repositories"]}
        _scratch.refuse(params["scratch"], params["live_paths"])
        limit(params)
        if params["signing_key"]:
            # not only after hours of reading
            _proofs.closed(params["signing_key"])
        if module.check_mode:
            module.exit_json(changed=False, findings=[], proof={}, result="unproven", summary="", compared=[], path="", swept=[])
        os.makedirs(params["dest"], mode=0o700, exist_ok=True)
        proof, findings = drill(params, sources)
        findings += own(proof, params)
        if params["signing_key"]:
            proof = _proofs.sign(proof, params["signing_key"])
        path = os.path.join(params["dest"], "proof.json")
        write_document(os.path.join(params["dest"], "findings.json"), [finding.as_dict() for finding in findings])
        write_document(path, proof)
    except IntactError as exc:
        # the module's own words for "details" would hide the message
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="the drill could not be done: %s" % exc)
    told = dict(findings=[finding.as_dict() for finding in findings], proof=proof, result=proof["result"], summary=_proof.summary(proof))
    module.exit_json(changed=True, compared=_proof.compared(proof), path=path, swept=swept, **told)


if __name__ == "__main__":
    main()
