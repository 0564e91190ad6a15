#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Check a host's repositories, and read a part of their packs back."""

from __future__ import annotations

DOCUMENTATION = r"""
module: backup_check
short_description: Check a host's backup repositories and read a part of them back
version_added: 0.1.0
description:
  - Checks each repository's structure, and reads the part of its packs that is due. The parts rotate, so that every byte is read over time.
    The state keeps what is covered.
  - Damage is a finding that names the repository, and where it can be told the class and the files that it hits.
options:
  repositories:
    description: Repositories that are checked, by name. All when empty.
    type: list
    elements: str
    default: []
  read_data:
    description: Read the part of the packs that is due, besides the structure.
    type: bool
    default: true
  job:
    description: Path on the host of the job.
    type: path
    default: /etc/intact/backup/job.json
extends_documentation_fragment:
  - intact.hosting.info.findings
attributes:
  check_mode:
    description: Can run in check mode. The repositories are left alone, and RV(would_check) tells which would be checked.
    support: full
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check mode), when in diff mode.
    support: none
  idempotent:
    description: Run twice, the second run does not change anything.
    support: none
    details: Each run reads the next part.
seealso:
  - module: intact.hosting.backup_state_info
author:
  - Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Check the repositories, a thirtieth of the packs each time
  intact.hosting.backup_check:
  register: checked
"""

RETURN = r"""
findings:
  description: What is damaged, missing, locked or unreachable.
  returned: success
  type: list
  elements: dict
  sample: []
coverage:
  description: For each repository, which parts of its packs were read and when.
  returned: not in check mode
  type: dict
  sample: {}
would_check:
  description: The repositories.
  returned: success
  type: list
  elements: str
  sample: [vault, offsite]
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._backup import _check, _main, _restic, _state
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

SPEC = {
    "repositories": {"type": "list", "elements": "str", "default": []},
    "read_data": {"type": "bool", "default": True},
    "job": {"type": "path", "default": _main.JOB},
}


def chosen(job, names):
    """The job's repositories with these names."""
    unknown = sorted(set(names) - {entry["name"] for entry in job["repositories"]})
    if unknown:
        raise IntactError("the job has no repository %s: it has %s" % (", ".join(unknown), ", ".join(entry["name"] for entry in job["repositories"])))
    return [entry for entry in job["repositories"] if not names or entry["name"] in names]


def check(job, entries, read):
    """(findings, {repository: coverage}), noted in the state."""
    path = os.path.join(_main.HOME, "state.json")
    found, coverage = [], {}
    os.makedirs(_main.HOME, mode=0o700, exist_ok=True)
    for entry in entries:
        name = entry["name"]
        state = _state.load(path, job["host"])
        known = state["repositories"].get(name, {}).get("coverage") or {}
        said, coverage[name] = _check.run(
            _restic.Restic(entry, job["program"], job["limits"]), known, job["check"]["parts"], _state.expected(state, name), read=read
        )
        # a backup may have noted something meanwhile
        state = _state.load(path, job["host"])
        _state.record_check(state, name, said, coverage[name], _flight.now())
        _state.save(state, path)
        found += said
    return found, coverage


def main():
    """Read, act unless in check mode, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    result = {"changed": False, "findings": []}
    try:
        job = _main.read_job(module.params["job"])
        entries = chosen(job, module.params["repositories"])
        result["would_check"] = [entry["name"] for entry in entries]
        if not module.check_mode:
            findings, result["coverage"] = check(job, entries, module.params["read_data"])
            result["findings"] = [finding.as_dict() for finding in findings]
    except IntactError as exc:
        module.fail_json(msg=str(exc), **dict(result, **exc.details))
    except OSError as exc:
        module.fail_json(msg="%s: the check could not be done or noted: %s; make room or mend the disk, and check again" % (job["host"], exc), **result)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
