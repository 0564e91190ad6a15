#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: postflight_info
short_description: Check a host after its upgrade, beyond what a comparison of baselines tells
version_added: 0.1.0
description:
  - Asks whether the target release is reached, the package database is clean, the sources are committed, databases went
    through their own upgrade, a message is delivered and carries the marks of its filters, certificates can be renewed, the host will start again,
    processes run what is on the disk, backups and agents run, control panels know what they knew, and which configuration residue nobody decided.
  - Reads only, apart from the probe message of O(mail_recipient), which is taken out of the mailbox again, and from
    private package lists in a temporary directory that is removed.
author:
  - Intact contributors (@intact-project)
attributes:
  check_mode:
    description: Runs the same in check mode, but sends no probe message.
    support: full
  diff_mode:
    description: Changes nothing, so there is no difference to show.
    support: none
options:
  release_path:
    description: The release path's data, see the lookup P(intact.hosting.release_path#lookup). Empty on a host that was not upgraded.
    type: dict
    default: {}
  flight_id:
    description: The flight whose plan and opening time are read from the host. Empty when there is none.
    type: str
    default: ''
  before:
    description:
      - Path on the host of the document that M(intact.hosting.postflight_reference) wrote before the flight.
      - Where it is not there, panels and marks of mail filters are not compared, which is a finding where they are in use.
    type: path
  conffiles:
    description: Decisions about configuration files.
    type: list
    elements: dict
    default: []
    suboptions:
      path:
        description: Path, or shell pattern.
        type: str
        required: true
      decision:
        description: What was decided.
        type: str
        choices: [keep, replace, merge]
        required: true
      reason:
        description: Why, for the report.
        type: str
        required: true
  conffile_default:
    description: The operator's policy for files that O(conffiles) does not name; V(keep) says that edited files stay. Empty is no policy.
    type: str
    choices: ['', keep]
    default: ''
  target_files:
    description: Paths on the host that came from the operator's target configuration.
    type: list
    elements: str
    default: []
  mail_recipient:
    description: A mailbox of the operator's own that a probe message is sent to. Empty sends none, which is a finding.
    type: str
    default: ''
  mail_user:
    description: The mailbox's name as the mail server knows it, when it differs from O(mail_recipient).
    type: str
    default: ''
  mail_seconds:
    description: How long the message may take, in seconds.
    type: int
    default: 60
seealso:
  - module: intact.hosting.postflight_reference
  - module: intact.hosting.baseline_compare
  - module: intact.hosting.gate
"""

EXAMPLES = r"""
- name: Check the host after its upgrade
  intact.hosting.postflight_info:
    release_path: "{{ lookup('intact.hosting.release_path', 'debian-12-13') }}"
    mail_recipient: probe@example.com
  register: checked
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
    - {check: QF03, title: the package database is clean, seconds: 0.8, findings: 0}
plan:
  description: The plan that was accepted before take-off, or empty.
  returned: success
  type: dict
  sample: {}
"""

import os
import shutil
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import System
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._postflight._context import Context, perform, reference
from ansible_collections.intact.hosting.plugins.module_utils._postflight._registry import CHECKS


def flight_facts(flight_id):
    """The accepted plan and the opening time of a flight on this host."""
    if not flight_id:
        return {}, ""
    path = os.path.join(_flight.directory(flight_id), "plan.json")
    plan = read_document(path) if os.path.exists(path) else {}
    events, _torn = _flight.read(flight_id)
    return plan, next((e["time"] for e in events if e["event"] == "flight.open"), "")


def main():
    module = AnsibleModule(
        argument_spec=dict(
            release_path=dict(type="dict", default={}),
            flight_id=dict(type="str", default=""),
            before=dict(type="path"),
            conffiles=dict(
                type="list",
                elements="dict",
                default=[],
                options=dict(
                    path=dict(type="str", required=True),
                    decision=dict(type="str", choices=["keep", "replace", "merge"], required=True),
                    reason=dict(type="str", required=True),
                ),
            ),
            conffile_default=dict(type="str", choices=["", "keep"], default=""),
            target_files=dict(type="list", elements="str", default=[]),
            mail_recipient=dict(type="str", default=""),
            mail_user=dict(type="str", default=""),
            mail_seconds=dict(type="int", default=60),
        ),
        supports_check_mode=True,
    )
    options = {key: module.params[key] for key in ("conffiles", "conffile_default", "target_files", "mail_user", "mail_seconds")}
    options["mail_recipient"] = "" if module.check_mode else module.params["mail_recipient"]
    options["scratch"] = tempfile.mkdtemp(prefix="intact-lists-", dir=module.tmpdir)
    try:
        plan, opened = flight_facts(module.params["flight_id"])
        context = Context(host=System(), release_path=module.params["release_path"], options=options, plan=plan, opened=opened)
        context.before = reference(module.params["before"])
        findings, checks = perform(CHECKS, context)
    except (IntactError, OSError, ValueError) as exc:
        module.fail_json(msg="post-flight checks could not be done: %s" % exc)
    finally:
        shutil.rmtree(options["scratch"], ignore_errors=True)
    module.exit_json(changed=False, findings=[f.as_dict() for f in findings], checks=checks, plan=plan)


if __name__ == "__main__":
    main()
