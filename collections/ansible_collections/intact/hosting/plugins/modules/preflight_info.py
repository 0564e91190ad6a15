#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look forward: what would go wrong if this host were upgraded now."""

from __future__ import annotations

DOCUMENTATION = r"""
module: preflight_info
short_description: Tell what would go wrong if this host were upgraded now
version_added: 0.1.0
description:
  - Runs the checks that look forward, from the release path over sources, packages, room, disks, proofs, databases and configurations to the configuration that
    the target release's daemons would read, and returns all findings at once, each with its remedy.
  - Changes nothing on the host. Package lists, downloads and the throw-away root for the target's daemons go to O(cache_dir),
    are private to root, and may be removed at any time.
  - Binds the result to the host, its boot, packages, sources and disks. With O(binding) it tells whether an earlier result still holds.
extends_documentation_fragment:
  - intact.hosting.info
  - intact.hosting.info.findings
attributes:
  idempotent:
    support: none
    details: Each run looks anew and is bound to its own moment.
author:
  - Intact contributors (@intact-project)
options:
  release_path:
    description:
      - The release path's data, see the lookup P(intact.hosting.release_path#lookup).
      - Empty on a host from whose release no path starts. Checks that need one are not run then.
    type: dict
    required: true
  plan:
    description:
      - What M(intact.hosting.upgrade_plan_info) returned as RV(intact.hosting.upgrade_plan_info#module:plan).
      - Empty when it could not be made, which is a finding.
    type: dict
    default: {}
  baseline:
    description: Path on the host of the baseline that was captured just before, see M(intact.hosting.baseline_info).
    type: path
  only:
    description: Run only these checks, by number such as V(PF06). All when empty.
    type: list
    elements: str
    default: []
  skip:
    description: Leave these checks out. Each is a finding.
    type: list
    elements: str
    default: []
  binding:
    description: The binding of an earlier result, RV(binding). What no longer holds is a blocker.
    type: dict
    default: {}
  expiry_hours:
    description: For how many hours the result holds.
    type: float
    default: 4
  proofs:
    description:
      - Proof documents, each with C(kind) (V(backup) or V(panel:NAME)), C(taken) (a date), C(host) (machine-id or host name), C(digest),
        and where known C(result) (V(proven)) and C(disks).
      - Documents in O(proofs_dir) on the host are read as well. Of a panel, only a proven export in C(/var/lib/intact/panel), or its C(export.json), counts.
    type: list
    elements: dict
    default: []
  proofs_dir:
    description: Directory on the host with proof documents, one JSON file each.
    type: path
    default: /var/lib/intact/proofs
  proof_max_hours:
    description: How old a proof may be.
    type: float
    default: 24
  proof_signers:
    description: Text of an allowed-signers file, see ssh-keygen(1). With it only a proof of the backup that one of them signed counts.
    type: str
    default: ''
  proof_classes:
    description: Classes that a drill's proof has to name. Empty is those that this host uses, as the baseline sees it.
    type: list
    elements: str
    default: []
  proof_repositories:
    description: From how many repositories each class has to be proven.
    type: int
    default: 2
  expected_disks:
    description: The disks this host must have, as the items of a baseline's disks section. Empty is the newest inventory on the host.
    type: dict
    default: {}
  accepted_holds:
    description: Decisions about held and pinned packages.
    type: list
    elements: dict
    default: []
    suboptions:
      package: {type: str, required: true, description: Package or shell pattern.}
      decision: {type: str, required: true, choices: [keep, unhold-and-rehold], description: What the upgrade does with it.}
      reason: {type: str, required: true, description: Why.}
  accepted_packages:
    description: Packages from no configured source that may stay.
    type: list
    elements: dict
    default: []
    suboptions:
      package: {type: str, required: true, description: Package or shell pattern.}
      reason: {type: str, required: true, description: Why.}
  accepted_removals:
    description: Protected packages that the upgrade may remove.
    type: list
    elements: dict
    default: []
    suboptions:
      package: {type: str, required: true, description: Package or shell pattern.}
      reason: {type: str, required: true, description: Why.}
  accepted_units:
    description: Units that may be in state failed.
    type: list
    elements: dict
    default: []
    suboptions:
      unit: {type: str, required: true, description: Unit or shell pattern.}
      reason: {type: str, required: true, description: Why.}
  accepted_panels:
    description: Control panels that go along with the upgrade although nobody has said that they support the target release.
    type: list
    elements: dict
    default: []
    suboptions:
      panel: {type: str, required: true, description: 'Name of its driver, such as V(hestiacp), or shell pattern.'}
      reason: {type: str, required: true, description: 'Who says so, and why.'}
  out_of_band:
    description: Who has tried a way in that does not need the host's network. Bare metal without one is a blocker, a virtual machine a warning.
    type: dict
    suboptions:
      who: {type: str, required: true, description: Name of the person.}
      how: {type: str, required: true, description: 'Which way, for example the provider''s console.'}
      when: {type: str, required: true, description: 'Day, or moment in ISO 8601.'}
  out_of_band_days:
    description: For how many days O(out_of_band) counts.
    type: float
    default: 30
  protected_packages:
    description: More packages, as shell patterns, that must not be removed.
    type: list
    elements: str
    default: []
  source_map:
    description: What becomes of sources of third parties at the target.
    type: list
    elements: dict
    default: []
    suboptions:
      match: {type: str, required: true, description: 'Shell pattern on the URI, or on "URI SUITE" when it holds a blank.'}
      action: {type: str, required: true, choices: [rename, disable, keep], description: What the upgrade does.}
      uri: {type: str, description: The URI at the target.}
      suite: {type: str, description: The suite at the target.}
      reason: {type: str, required: true, description: Why.}
  conffiles:
    description: Decisions about configuration files.
    type: list
    elements: dict
    default: []
    suboptions:
      path: {type: str, required: true, description: Path or shell pattern.}
      decision: {type: str, required: true, choices: [keep, replace, merge], description: What was decided.}
      reason: {type: str, required: true, description: Why.}
  conffile_default:
    description: Policy for files that O(conffiles) does not name. Empty is no policy.
    type: str
    choices: ['', keep]
    default: ''
  target_files:
    description: Directory on the host that holds the operator's configuration for the target release, with paths as below V(/).
    type: path
  target_files_name:
    description: That directory's name on the controller, for the message that says where to put a file.
    type: str
    default: ''
  mysql_defaults_file:
    description: Option file with the login for MariaDB or MySQL. Without it the login of root over the local socket.
    type: path
  database_seconds:
    description: How long the check of one database server may take, in seconds.
    type: float
    default: 600
  disks_options:
    description: Settings of the baseline's section C(disks), the same as for the baseline.
    type: dict
    default: {}
  rollback:
    description: The way back that was decided, with C(driver) and its settings, see the README of the role rollback. Empty is none.
    type: dict
    default: {}
  cache_dir:
    description: Private directory on the host for lists, downloads and the target root.
    type: path
    default: /var/lib/intact/cache
  window:
    description: The maintenance window, for PF53.
    type: dict
    default: {}
    suboptions:
      start: {type: str, default: '', description: 'When it opens, ISO 8601 with its offset from UTC.'}
      end: {type: str, default: '', description: 'When it closes, ISO 8601 with its offset from UTC.'}
      budget_seconds: {type: int, default: 0, description: How long the work may take. V(0) sets no budget.}
      takeoff: {type: bool, default: false, description: 'The work begins now, so a window that is not open yet is a blocker.'}
  rollback_seconds:
    description: How long the way back takes where that is known. V(0) works it out.
    type: int
    default: 0
  history:
    description: What earlier flights of other hosts took, from the lookup P(intact.hosting.flight_history#lookup). Those of this host are read here.
    type: list
    elements: dict
    default: []
  inventory_name:
    description: The host's name in the inventory, which a proof may use.
    type: str
    default: ''
seealso:
  - module: intact.hosting.upgrade_plan_info
  - module: intact.hosting.baseline_info
  - module: intact.hosting.gate
"""

EXAMPLES = r"""
- name: Tell what would go wrong
  intact.hosting.preflight_info:
    release_path: "{{ lookup('intact.hosting.release_path', 'debian-12-13') }}"
    plan: "{{ planned['plan'] }}"
    baseline: /var/lib/intact/checks/now/baseline-before.json.gz
    accepted_holds:
      - package: mycustomer-tool
        decision: keep
        reason: built for this customer, depends on nothing of Debian's
  register: checked

- name: Does the result of an hour ago still hold
  intact.hosting.preflight_info:
    release_path: "{{ lookup('intact.hosting.release_path', 'debian-12-13') }}"
    only: [PF52]
    binding: "{{ checked['binding'] }}"
"""

RETURN = r"""
findings:
  description: What was found, each with id, severity, subject, title, evidence, remedy and check.
  returned: success
  type: list
  elements: dict
  sample: []
checks:
  description: Each check that ran, its seconds, and how many findings it raised.
  returned: success
  type: list
  elements: dict
  sample:
    - {check: PF04, title: the package database is sound, seconds: 0.4, findings: 0}
binding:
  description: What the result is bound to.
  returned: success
  type: dict
  sample:
    host_id: 4c4c4544
    hostname: web1
    boot: 8f0b/112
    packages: 9f86d0
    sources: 60303a
    disks: fd61a0
    made: "2026-11-30T01:00:00Z"
    expires: "2026-11-30T05:00:00Z"
estimate:
  description: How long the upgrade would take. Empty when PF53 was not asked or there is no plan.
  returned: success
  type: dict
  contains:
    stages: {description: Seconds of each stage., type: dict}
    total: {description: Seconds of all of it., type: int}
    low: {description: 'Seconds of all of it, at least.', type: int}
    high: {description: 'Seconds of all of it, at most.', type: int}
    rollback: {description: Seconds of the way back., type: int}
    basis: {description: What it was told from., type: list, elements: str}
    work: {description: 'Packages and bytes of each stage, for later estimates.', type: dict}
    measures: {description: What was measured on the host., type: dict}
    release_path: {description: The release path., type: str}
disks:
  description: The disks as they are, for the inventory that the next look compares with.
  returned: success
  type: dict
  sample: {}
"""

import glob
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _binding, _flight
from ansible_collections.intact.hosting.plugins.module_utils._baseline import disks as disks_probe
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight._context import Context, perform
from ansible_collections.intact.hosting.plugins.module_utils._preflight._registry import chosen
from ansible_collections.intact.hosting.plugins.module_utils._preflight._system import Host

INVENTORY = "/var/lib/intact/disks.json"


def _listed(required, **more):
    options = {name: dict(type="str", required=True) for name in required}
    options.update(more)
    return dict(type="list", elements="dict", default=[], options=options)


def read_json(path, what):
    """A JSON document of the host's, or IntactError that names it."""
    try:
        return read_document(path)
    except (OSError, ValueError) as exc:
        raise IntactError("%s %s cannot be read: %s" % (what, path, exc), path=path) from exc


def stored_proofs(directory):
    """Proof documents that lie on the host."""
    return [read_json(path, "proof") for path in sorted(glob.glob(os.path.join(directory, "*.json")))]


def inventories(expected, proofs):
    """Earlier inventories of disks, the one that counts first: [{from, taken, items}]."""
    found = []
    if expected:
        return [{"from": "preflight_expected_disks", "taken": "as given", "items": expected}]
    for proof in sorted((p for p in proofs if p.get("disks")), key=lambda p: str(p.get("taken")), reverse=True):
        found.append({"from": "the proof of the %s" % proof.get("kind"), "taken": proof.get("taken"), "items": proof["disks"]})
    if os.path.exists(INVENTORY):
        known = read_json(INVENTORY, "inventory of disks")
        found.append({"from": INVENTORY, "taken": known.get("taken", "at an unknown time"), "items": known.get("items") or {}})
    earlier = glob.glob(os.path.join(_flight.FLIGHTS, "*", "baseline-after.json.gz"))
    for path in sorted(earlier, key=os.path.getmtime, reverse=True)[:1]:
        document = read_json(path, "baseline")
        items = ((document.get("sections", {}).get("disks") or {}).get("data") or {}).get("items")
        if items:
            found.append({"from": path, "taken": document.get("taken"), "items": items})
    return found


def main():
    module = AnsibleModule(
        argument_spec=dict(
            release_path=dict(type="dict", required=True),
            plan=dict(type="dict", default={}),
            baseline=dict(type="path"),
            only=dict(type="list", elements="str", default=[]),
            skip=dict(type="list", elements="str", default=[]),
            binding=dict(type="dict", default={}),
            expiry_hours=dict(type="float", default=4),
            proofs=dict(type="list", elements="dict", default=[]),
            proofs_dir=dict(type="path", default="/var/lib/intact/proofs"),
            proof_max_hours=dict(type="float", default=24),
            proof_signers=dict(type="str", default=""),
            proof_classes=dict(type="list", elements="str", default=[]),
            proof_repositories=dict(type="int", default=2),
            expected_disks=dict(type="dict", default={}),
            accepted_holds=_listed(("package", "reason"), decision=dict(type="str", required=True, choices=["keep", "unhold-and-rehold"])),
            accepted_packages=_listed(("package", "reason")),
            accepted_removals=_listed(("package", "reason")),
            accepted_units=_listed(("unit", "reason")),
            accepted_panels=_listed(("panel", "reason")),
            out_of_band=dict(type="dict", options={name: dict(type="str", required=True) for name in ("who", "how", "when")}),
            out_of_band_days=dict(type="float", default=30),
            protected_packages=dict(type="list", elements="str", default=[]),
            source_map=_listed(
                ("match", "reason"), action=dict(type="str", required=True, choices=["rename", "disable", "keep"]), uri=dict(type="str"), suite=dict(type="str")
            ),
            conffiles=_listed(("path", "reason"), decision=dict(type="str", required=True, choices=["keep", "replace", "merge"])),
            conffile_default=dict(type="str", choices=["", "keep"], default=""),
            target_files=dict(type="path"),
            target_files_name=dict(type="str", default=""),
            mysql_defaults_file=dict(type="path"),
            database_seconds=dict(type="float", default=600),
            disks_options=dict(type="dict", default={}),
            rollback=dict(type="dict", default={}),
            cache_dir=dict(type="path", default="/var/lib/intact/cache"),
            window=dict(
                type="dict",
                default={},
                options=dict(
                    start=dict(type="str", default=""),
                    end=dict(type="str", default=""),
                    budget_seconds=dict(type="int", default=0),
                    takeoff=dict(type="bool", default=False),
                ),
            ),
            rollback_seconds=dict(type="int", default=0),
            history=dict(type="list", elements="dict", default=[]),
            inventory_name=dict(type="str", default=""),
        ),
        supports_check_mode=True,
    )
    params = module.params
    try:
        checks = chosen(params["only"], params["skip"], bool(params["release_path"]))
        host = Host()
        now = disks_probe.capture(Host(params["disks_options"]))["items"]
        proofs = params["proofs"] + stored_proofs(params["proofs_dir"])
        baseline = read_json(params["baseline"], "baseline") if params["baseline"] else {"sections": {"disks": {"status": "ok", "data": {"items": now}}}}
        context = Context(
            host=host,
            release_path=params["release_path"],
            plan=params["plan"],
            baseline=baseline,
            proofs=proofs,
            options=params,
            cache=params["cache_dir"],
            compare_disks=disks_probe.compare,
            inventories=inventories(params["expected_disks"], proofs),
        )
        host.make_private(params["cache_dir"])
        findings, told = perform(checks, context)
        estimate = context.once("estimate", dict)
        binding = _binding.bind(_binding.current(host, now), params["expiry_hours"])
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except OSError as exc:
        module.fail_json(msg="pre-flight could not look at this host: %s" % exc)
    findings += [
        Finding(
            id="preflight.skipped", severity="warning", subject=number, title="this check was left out", remedy="take it out of preflight_skip, or waive this"
        )
        for number in params["skip"]
    ]
    module.exit_json(changed=False, findings=[f.as_dict() for f in findings], checks=told, binding=binding, estimate=estimate, disks=now)


if __name__ == "__main__":
    main()
