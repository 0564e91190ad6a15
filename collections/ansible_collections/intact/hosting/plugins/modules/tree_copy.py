#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Copy a tree with everything it carries, and prove it."""

from __future__ import annotations

DOCUMENTATION = r"""
module: tree_copy
short_description: Copy a tree with everything it carries, and prove it
version_added: 0.1.0
description:
  - Reads each byte once, hashes it and writes it, with hard links across the whole tree, holes, ACLs, extended attributes, capabilities, flags,
    times and FIFOs. Sockets and devices are told, not made.
  - Made for trees that customers can write to while root copies them. Neither side is ever followed along a link.
  - What the target has already and differs is not overwritten without a word, see O(existing).
  - A copy that was stopped or killed goes on where it was when it is started again with the same O(state).
author:
  - Intact contributors (@intact-project)
extends_documentation_fragment:
  - intact.hosting.info.findings
attributes:
  check_mode:
    description: Can run in check mode and return changed status prediction without modifying target.
    support: full
  diff_mode:
    description: Shows the first 200 things that are done, in check mode those that would be.
    support: full
  idempotent:
    description: Run twice, the second run does not change anything.
    support: full
    details: With O(state) the second run reads only metadata.
options:
  src:
    description: Directory whose contents are copied.
    type: path
    required: true
  dest:
    description: Directory they go to. It is made when it is missing; its parent must be there.
    type: path
    required: true
  ids:
    description: An identity map (C(identity.json) of M(intact.hosting.identity_map_info)) by which owners, groups and ACL entries get this host's numbers.
    type: path
  exclude:
    description: Shell patterns of what is left out. With a slash at the start they mean a path below O(src), else a name anywhere.
    type: list
    elements: str
    default: []
  existing:
    description:
      - What becomes of an entry of O(dest) that differs and that no earlier run with this O(state) made.
      - V(aside) moves it below C(.intact-aside) in O(dest), V(keep) leaves it with a warning, V(refuse) leaves it with a blocker.
    type: str
    choices: [aside, keep, refuse]
    default: aside
  state:
    description: Directory of this copy's journal (made with mode 0700). One for each pair of O(src) and O(dest).
    type: path
    required: true
  manifest:
    description: File for the manifest of what was read, by default C(manifest.gz) in O(state).
    type: path
  compare:
    description:
      - With V(content) a later run reads everything again.
      - With V(quick) it believes sizes and times that the journal knows, also those of the inode's last change.
    type: str
    choices: [quick, content]
    default: quick
  digest:
    description: V(xxh3) is faster, needs Python's xxhash, and does not stand up to somebody who wants two files to look alike.
    type: str
    choices: [sha256, xxh3]
    default: sha256
  verify:
    description: Read the target back from its device afterwards and hold it against the manifest.
    type: bool
    default: false
  second_opinion:
    description: Also ask C(rsync -aHAXnc); what it finds different is a finding. Owners and ACLs are left to us when O(ids) is given.
    type: bool
    default: false
  readers:
    description: Threads that ask for files ahead while the disk is what takes the time. V(0) for none.
    type: int
    default: 8
seealso:
  - module: intact.hosting.tree_manifest
"""

EXAMPLES = r"""
- name: Bring the customers' homes over and read them back from the new disk
  intact.hosting.tree_copy:
    src: /mnt/old/home
    dest: /home
    ids: /var/lib/intact/migrations/web1/identity.json
    exclude: [/lost+found, '*.sock']
    state: /var/lib/intact/migrations/web1/files.d/home
    verify: true
"""

RETURN = r"""
findings:
  description: What could not be read, kept or made, what was in the way, and what verification found. The first 20 of a kind, then how many more.
  returned: success
  type: list
  elements: dict
  sample: []
counts:
  description: Entries by what they are and what was done; kinds of findings by number.
  returned: success
  type: dict
  sample: {files: 120000, copied: 120040, hardlinks: 12, directories: 900, same: 0, aside: 0}
bytes:
  description: Bytes that were read.
  returned: success
  type: int
  sample: 940000000
seconds:
  description: How long it took.
  returned: success
  type: float
  sample: 31.2
granularity:
  description: Nanoseconds that times on the target are multiples of.
  returned: success
  type: int
  sample: 1
manifest:
  description: Where the manifest is.
  returned: success, not in check mode
  type: str
  sample: /var/lib/intact/migrations/web1/files.d/home/manifest.gz
verified:
  description: How many entries are of which class (match, moved, changed, metadata, missing, extra, changed-while-read).
  returned: with O(verify), not in check mode
  type: dict
  sample: {match: 120912, moved: 0, changed: 0, metadata: 0, missing: 0, extra: 0, changed-while-read: 0}
rsync:
  description: How many entries rsync finds different, and how many it was not asked about (sockets and devices).
  returned: with O(second_opinion), not in check mode
  type: dict
  sample: {rsync: 0, ignored: 2}
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._trees import _arguments, _copy, _verify

SPEC = dict(
    src=dict(type="path", required=True),
    dest=dict(type="path", required=True),
    ids=dict(type="path"),
    exclude=dict(type="list", elements="str", default=[]),
    existing=dict(type="str", choices=["aside", "keep", "refuse"], default="aside"),
    state=dict(type="path", required=True),
    manifest=dict(type="path"),
    compare=dict(type="str", choices=["quick", "content"], default="quick"),
    digest=dict(type="str", choices=["sha256", "xxh3"], default="sha256"),
    verify=dict(type="bool", default=False),
    second_opinion=dict(type="bool", default=False),
    readers=dict(type="int", default=8),
)


def copy(params, check):
    """Copy and prove; returns (result, steps as lines)."""
    ids = _arguments.ids(params["ids"])
    manifest = params["manifest"] or os.path.join(params["state"], "manifest.gz")
    if not check:
        os.makedirs(params["state"], mode=0o700, exist_ok=True)
    copier = _copy.Copier(
        params["src"],
        params["dest"],
        ids=ids,
        manifest=None if check else manifest,
        state=params["state"],
        rules=params["exclude"],
        existing=params["existing"],
        compare=params["compare"],
        digest=params["digest"],
        check=check,
        readers=params["readers"],
    )
    made = copier.run()
    findings, steps = made.pop("findings"), made.pop("steps")
    if not check and params["verify"]:
        proof = _verify.verify(params["dest"], manifest, ids)
        made["verified"] = proof["counts"]
        findings += proof["findings"]
    if not check and params["second_opinion"]:
        opinion = _verify.second_opinion(params["src"], params["dest"], ids, params["exclude"])
        made["rsync"] = opinion["counts"]
        findings += opinion["findings"]
    if made["manifest"] is None:
        del made["manifest"]
    return {**made, "findings": [finding.as_dict() for finding in findings]}, steps


def main():
    """Copy unless in check mode, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        result, steps = copy(module.params, module.check_mode)
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="the copy was cut: %s; start it again with the same state, it goes on where it was" % exc)
    if module._diff:
        result["diff"] = {"before": "", "after": "".join(line + "\n" for line in steps)}
    module.exit_json(**result)


if __name__ == "__main__":
    main()
