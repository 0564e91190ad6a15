#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Dump the databases of an old server's disk."""

from __future__ import annotations

DOCUMENTATION = r"""
module: cold_database
short_description: Dump the databases of an old server's disk
version_added: 0.1.0
description:
  - Opens the data directory of a MySQL, MariaDB or PostgreSQL server on a mounted disk of an old server, on a private copy or through an overlay, without a
    network; what a crash left undone is done there. Not one byte of the disk changes.
  - Dumps every table with a digest of its rows, and accounts as statements. What is damaged is told by name with the server's words, and the rest is saved.
  - A server of another version may refuse what a crash left. Then the disk's own program does the recovery, with the overlay as its C(/).
  - PostgreSQL opens with its own major version only, that of this host or that on the disk; it is dumped by the newest C(pg_dump) of this host.
  - A finding does not fail the module, a caller decides by RV(verdict) and RV(findings).
extends_documentation_fragment:
  - intact.hosting.info.findings
author:
  - Intact contributors (@intact-project)
attributes:
  check_mode:
    description: Can run in check mode and tell what would be opened by which program, and how much space there is; nothing is started and nothing is copied.
    support: full
  diff_mode:
    description: Tells no difference.
    support: none
  idempotent:
    description: A data directory that is mounted read-only, and of which there is an undamaged dump in O(dest), is not opened again.
    support: partial
    details: A disk that can be written to is opened each time.
options:
  root:
    description: Where the disk's C(/) is mounted; read-only, please.
    type: path
    required: true
  kind:
    description: Which server's data it is.
    type: str
    choices: [mysql, postgresql]
    required: true
  datadir:
    description: The data directory as the old server named it. Empty is where its configuration says, or the usual places.
    type: str
    default: ''
  dest:
    description: Directory for the dumps. It is made with mode 0700, and holds password hashes. An older dump in it is replaced.
    type: path
    required: true
  directory:
    description: Directory below which copies and overlays are made; it needs room for the database and everybody must be able to pass through it.
    type: path
    default: /var/lib/intact-drills
  how:
    description:
      - How the data is opened. V(copy) reads the disk once, which a dying one likes better; V(overlay) needs no room.
      - V(auto) copies when there is room and the data has less than 20 GiB, looks through an overlay else, and falls back to the disk's own program.
      - V(disk) takes the disk's own program at once.
    type: str
    choices: [auto, copy, overlay, disk]
    default: auto
  databases:
    description: Names of the databases. Empty is all of them.
    type: list
    elements: str
    default: []
  token:
    description: The disk's token (see M(intact.hosting.block_device_info)). It is kept in the document, and a dump of another disk is not taken for this one's.
    type: str
    default: ''
  dangerous:
    description:
      - What may be tried that can cost data, each only after everything else failed and on a fresh copy or overlay. MySQL and MariaDB only.
      - V(delete_ib_logfiles) loses what clients were told is stored; it wants O(how=copy).
    type: list
    elements: str
    choices: [innodb_force_recovery=4, innodb_force_recovery=5, innodb_force_recovery=6, delete_ib_logfiles]
    default: []
  force:
    description: Open the data also when there is a dump of this very state.
    type: bool
    default: false
seealso:
  - module: intact.hosting.panel_rescue
"""

EXAMPLES = r"""
- name: Dump the databases of the server that died
  intact.hosting.cold_database:
    root: /mnt/old
    kind: mysql
    dest: /var/lib/intact/migrations/old1/databases.d/mysql
  register: dumped
"""

RETURN = r"""
databases:
  description: The databases and their tables, each with its number of rows, a digest of them, and what is damaged in the server's words.
  returned: success
  type: dict
  sample: {shop: {tables: {orders: {rows: 20000, digest: 0a1b2c3d4e5f6071, damaged: ''}}}}
accounts:
  description: Names of the accounts or roles.
  returned: success
  type: list
  elements: str
  sample: [shop@localhost]
reset:
  description: Accounts whose passwords no server of today takes.
  returned: success
  type: list
  elements: str
  sample: []
damaged:
  description: Damaged tables.
  returned: success
  type: list
  elements: str
  sample: [shop.orders]
said:
  description: Sentences about how the data was opened.
  returned: success
  type: list
  elements: str
  sample: []
version:
  description: Version of the server that read the data.
  returned: success
  type: str
  sample: 10.11.19-MariaDB
verdict:
  description: V(proven), or V(damaged) when there is a blocker; in check mode V(would-run).
  returned: success
  type: str
  sample: proven
document:
  description: Where everything is written down.
  returned: success
  type: str
  sample: /var/lib/intact/migrations/old1/databases.d/mysql/document.json
plan:
  description: What is, or would be, opened; sizes in bytes.
  returned: success
  type: dict
  sample:
    datadir: /var/lib/mysql
    bytes: 123456
    free: 99999999
    free_dest: 99999999
    how: copy
    program: /usr/sbin/mariadbd
    version: ''
findings:
  description: What is wrong, each with its subject.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._cold import _dumped, _mysql, _take
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

SPEC = {
    "root": {"type": "path", "required": True},
    "kind": {"type": "str", "choices": list(_take.KINDS), "required": True},
    "datadir": {"type": "str", "default": ""},
    "dest": {"type": "path", "required": True},
    "directory": {"type": "path", "default": _take.SCRATCH},
    "how": {"type": "str", "choices": list(_mysql.HOWS), "default": "auto"},
    "databases": {"type": "list", "elements": "str", "default": []},
    "token": {"type": "str", "default": "", "no_log": False},
    "dangerous": {"type": "list", "elements": "str", "choices": list(_mysql.DANGEROUS), "default": []},
    "force": {"type": "bool", "default": False},
}
NOTHING = {"databases": {}, "accounts": [], "reset": [], "damaged": [], "said": [], "findings": [], "version": "", "verdict": "would-run"}


def main():
    """Look, dump unless in check mode or done, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    settings = _take.Settings(**module.params)
    try:
        plan = _take.plan(settings)
        held = None if settings.force else _take.kept(settings)
        if held or not module.check_mode:
            told = _take.shown(held or _take.take(settings))
        else:
            told = NOTHING
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="the databases could not be read: %s: %s" % (exc.filename or "a file", exc.strerror))
    module.exit_json(changed=not held, plan=plan, document=os.path.join(settings.dest, _dumped.DOCUMENT), **told)


if __name__ == "__main__":
    main()
