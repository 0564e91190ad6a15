#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Map the users and groups of an old disk to those of this host."""

from __future__ import annotations

DOCUMENTATION = r"""
module: identity_map_info
short_description: Map the users and groups of an old disk to those of this host
version_added: 0.1.0
description:
  - Reads C(passwd), C(shadow), C(group) and C(gshadow) of a mounted old root and of this host, and says who is who and which number every old number becomes.
  - People are matched by name, never by number. The same name on both sides is the same person only when the homes are equal and the passwords are, or when the
    account of this host was never used (no password, no keys) and has no power; else it is a conflict, a blocker, until O(same) or O(rename) says who it is.
  - Services are matched by a table of what they are called (C(apache) is C(www-data) here). What has no account goes to a range of numbers that nobody has.
  - Nobody gets access that they did not have. Second names of root, empty passwords, passwords of system accounts and membership in groups with power are
    findings and not carried.
  - Reads only, but for the map itself (O(dest)), which is not written in check mode. No password hash is in the result or in the map.
extends_documentation_fragment:
  - intact.hosting.info
  - intact.hosting.info.findings
options:
  root:
    description: Where the old root is mounted.
    type: path
    required: true
  dest:
    description:
      - Path of the map on this host, written with mode V(0600) when it differs. The directory has to be there.
      - A map that is there already is the earlier one; its numbers stay.
    type: path
  target:
    description: Root of the system whose accounts are the new ones.
    type: path
    default: /
  owners:
    description:
      - Which numbers own how many files on the old disk, as two dictionaries C(users) and C(groups) of numbers with their counts.
    type: dict
    default: {}
  trees:
    description:
      - Directories of the old host to walk for owners and for numbers named in access lists, added to O(owners). Paths as on the old host, such as V(/home).
    type: list
    elements: str
    default: []
  same:
    description: Names that are the same person on both hosts, whatever differs.
    type: list
    elements: str
    default: []
  rename:
    description: New names for old users and groups.
    type: dict
    default: {}
  services:
    description: What old services, users and groups, are called on this host, beside the table.
    type: dict
    default: {}
  carry:
    description: Old accounts and groups to create here although they are the system's own, or would not be carried for another reason that a finding tells.
    type: list
    elements: str
    default: []
  powers:
    description: Old groups whose members become members of a group of this host that gives them power.
    type: dict
    default: {}
  range:
    description: First and last number for what nobody on this host owns.
    type: list
    elements: int
    default: [200000, 299999]
seealso:
  - module: intact.hosting.baseline_info
author:
  - Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Say who is who
  intact.hosting.identity_map_info:
    root: /mnt/old
    dest: /var/lib/intact/migrations/web1-2008/identity.json
    trees: [/home, /var/www, /var/spool/mail]
  register: identity

- name: Say it again, now that somebody has decided
  intact.hosting.identity_map_info:
    root: /mnt/old
    dest: /var/lib/intact/migrations/web1-2008/identity.json
    same: [anna]
    rename:
      list: listcustomer
    powers:
      wheel: sudo
  register: identity
"""

RETURN = r"""
users:
  description: >-
    For each old user its old and new number, its name here, how it was matched (V(same), V(merged): same name and other number, V(service),
    V(new): created by the phase accounts, V(orphan): no account) and why.
  returned: success
  type: dict
  sample: {apache: {old: 48, new: 33, how: service, name: www-data, why: the service is called www-data here}}
groups:
  description: The same for groups, with the members that they get, and those that are left out.
  returned: success
  type: dict
  sample: {wheel: {old: 10, new: 200010, how: orphan, name: wheel, members: [], left: [anna], why: "groups of this name have power, and this host has none"}}
uids:
  description: New number of each old user number.
  returned: success
  type: dict
  sample: {"48": 33, "500": 1000}
gids:
  description: New number of each old group number.
  returned: success
  type: dict
  sample: {"48": 33, "500": 1000}
orphans:
  description: Numbers that own something and that nobody on this host will have.
  returned: success
  type: dict
  sample: {users: {"1234": {new: 201234, count: 17, name: ""}}, groups: {}}
conflicts:
  description: What only an operator can decide.
  returned: success
  type: list
  elements: dict
  sample: []
weak:
  description: Names of accounts whose password hash is weak.
  returned: success
  type: list
  elements: str
  sample: [bob]
counts:
  description: How many of what.
  returned: success
  type: dict
  sample: {users: 40, groups: 42, created: 12, conflicts: 0, orphans: 1, weak: 3}
findings:
  description: What an operator has to know or to decide.
  returned: success
  type: list
  elements: dict
  sample: []
path:
  description: Where the map is.
  returned: with O(dest)
  type: str
  sample: /var/lib/intact/migrations/web1-2008/identity.json
written:
  description: Whether the map is another one than before.
  returned: with O(dest)
  type: bool
  sample: true
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _identity_run

SPEC = {
    "root": {"type": "path", "required": True},
    "dest": {"type": "path"},
    "target": {"type": "path", "default": "/"},
    "owners": {"type": "dict", "default": {}},
    "trees": {"type": "list", "elements": "str", "default": []},
    "same": {"type": "list", "elements": "str", "default": []},
    "rename": {"type": "dict", "default": {}},
    "services": {"type": "dict", "default": {}},
    "carry": {"type": "list", "elements": "str", "default": []},
    "powers": {"type": "dict", "default": {}},
    "range": {"type": "list", "elements": "int", "default": [200000, 299999]},
}


def main():
    """Read both sides, map, write the map, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    try:
        result = _identity_run.run(module.params, module.check_mode)
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(changed=False, **result)


if __name__ == "__main__":
    main()
