#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Write down what a tree holds, and compare it with what another held."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tree_manifest
short_description: Write down what a tree holds, and compare it with what another held
version_added: 0.1.0
description:
  - One record for each entry with its digest, mode, owner, times, ACLs, attributes, capabilities, flags and hard links, sorted by path, in a gzip file.
  - Compares with an earlier manifest, of this tree or of the one it was copied from. Memory does not grow with the trees.
author:
  - Intact contributors (@intact-project)
extends_documentation_fragment:
  - intact.hosting.info.findings
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
    details: The tree is read and compared in check mode too; the manifest goes away again.
  diff_mode:
    description: Will return details on what has changed (or possibly needs changing in check mode), when in diff mode.
    support: none
  idempotent:
    description: Run twice, the second run does not change anything.
    support: full
options:
  path:
    description: Directory whose contents are read.
    type: path
    required: true
  dest:
    description: File for the manifest. It is replaced when the tree is another one than it tells of.
    type: path
    required: true
  compare_with:
    description: A manifest of before. What differs is a finding.
    type: path
  ids:
    description: An identity map (C(identity.json)) by which the owners in O(compare_with) are read as this host's.
    type: path
  extra:
    description: Whether what only O(path) has is a finding too.
    type: bool
    default: true
  exclude:
    description: Shell patterns of what is left out. With a slash at the start they mean a path below O(path), else a name anywhere.
    type: list
    elements: str
    default: []
  device:
    description: Drop each file from memory first, so that the digest is of what the disk holds.
    type: bool
    default: false
  digest:
    description: The same as in O(compare_with), else every file differs.
    type: str
    choices: [sha256, xxh3]
    default: sha256
  readers:
    description: Threads that ask for files ahead while the disk is what takes the time. V(0) for none.
    type: int
    default: 8
seealso:
  - module: intact.hosting.tree_copy
"""

EXAMPLES = r"""
- name: Hold the homes against what the old disk had
  intact.hosting.tree_manifest:
    path: /home
    dest: /var/lib/intact/migrations/web1/home-after.gz
    compare_with: /var/lib/intact/migrations/web1/files.d/home/manifest.gz
    ids: /var/lib/intact/migrations/web1/identity.json
    device: true
"""

RETURN = r"""
findings:
  description: What could not be read, and what differs. The first 20 of a kind, then how many more.
  returned: success
  type: list
  elements: dict
  sample: []
counts:
  description: Entries by what they are; kinds of findings by number.
  returned: success
  type: dict
  sample: {files: 120000, links: 40, others: 0, directories: 900}
bytes:
  description: Bytes that were read.
  returned: success
  type: int
  sample: 940000000
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 11.4
manifest:
  description: Where the manifest is.
  returned: success
  type: str
  sample: /var/lib/intact/migrations/web1/home-after.gz
compared:
  description: How many entries are of which class (match, moved, changed, metadata, missing, extra, changed-while-read).
  returned: with O(compare_with)
  type: dict
  sample: {match: 120912, moved: 0, changed: 0, metadata: 0, missing: 0, extra: 0, changed-while-read: 0}
"""

import os
import shutil
import tempfile

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._trees import _arguments, _manifest, _verify

SPEC = dict(
    path=dict(type="path", required=True),
    dest=dict(type="path", required=True),
    compare_with=dict(type="path"),
    ids=dict(type="path"),
    extra=dict(type="bool", default=True),
    exclude=dict(type="list", elements="str", default=[]),
    device=dict(type="bool", default=False),
    digest=dict(type="str", choices=["sha256", "xxh3"], default="sha256"),
    readers=dict(type="int", default=8),
)


def record(params, check):
    """The manifest beside its place, compared, then put there unless that one is the same."""
    dest = os.path.abspath(params["dest"])
    folder = tempfile.mkdtemp(prefix=".intact-", dir=os.path.dirname(dest))
    try:
        new = os.path.join(folder, "manifest.gz")
        made = _manifest.Manifest(
            params["path"], new, rules=params["exclude"], digest=params["digest"], device=params["device"], readers=params["readers"]
        ).run()
        findings = made.pop("findings")
        result = {**made, "changed": not _arguments.same_bytes(new, dest), "manifest": params["dest"]}
        if params["compare_with"]:
            told, result["compared"] = _verify.differences(params["path"], params["compare_with"], new, _arguments.ids(params["ids"]), params["extra"])
            findings += told
        if result["changed"] and not check:
            os.rename(new, dest)
    finally:
        shutil.rmtree(folder)
    return {**result, "findings": [finding.as_dict() for finding in findings]}


def main():
    """Read, compare, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        result = record(module.params, module.check_mode)
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="the manifest of %s could not be made: %s; look at the path it names and start again" % (module.params["path"], exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
