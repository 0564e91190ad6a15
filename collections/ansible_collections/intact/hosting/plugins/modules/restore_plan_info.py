#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Tell what a restore would bring and what it would overwrite."""

from __future__ import annotations

DOCUMENTATION = r"""
module: restore_plan_info
short_description: Tell what a restore would bring and what it would overwrite
version_added: 0.1.0
description:
  - Reads the manifests of the newest runs (or of O(run)), looks at what is on this host, and tells step by step what comes, what is the same, what would be
    overwritten, and what is newer here than in the backup.
  - Changes nothing.
author:
  - Intact contributors (@intact-project)
extends_documentation_fragment:
  - intact.hosting.repository
  - intact.hosting.repository.restore
  - intact.hosting.info
  - intact.hosting.info.findings
seealso:
  - module: intact.hosting.restore_run
"""

EXAMPLES = r"""
- name: What would come back of shop.example.com
  intact.hosting.restore_plan_info:
    host: web1
    repository: {name: vault, url: 'rest:https://vault.example.com:8000/web1/', password_file: /etc/intact/restore/vault.password}
    sites:
      - {name: shop.example.com, paths: [/var/www/shop, /etc/apache2/sites-available/shop.conf], databases: ['mariadb:shop']}
    select: {sites: [shop.example.com]}
"""

RETURN = r"""
plan:
  description: Runs, accounts and steps in their order, each with C(comes), C(same), C(overwritten), C(newer), C(kept) and C(extra).
  returned: success
  type: dict
  sample: {repository: vault, host: web1, steps: []}
findings:
  description: What has to be decided before a restore.
  returned: success
  type: list
  elements: dict
  sample: []
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._backup import _arguments
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError


def main():
    """Read, look, tell."""
    module = AnsibleModule(argument_spec=dict(_arguments.RESTORE), supports_check_mode=True)
    params = module.params
    try:
        backup, view = _arguments.opened(params)
        plan, findings = _arguments.plan("", backup, view, params)
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="the plan could not be made: %s" % exc)
    # password hashes of accounts that come are nobody's business in a log
    plan["identity"]["rows"] = {kind: [row.split(":", 1)[0] for row in rows] for kind, rows in plan["identity"]["rows"].items()}
    module.exit_json(changed=False, plan=plan, findings=[finding.as_dict() for finding in findings])


if __name__ == "__main__":
    main()
