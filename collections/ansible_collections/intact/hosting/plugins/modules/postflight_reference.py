#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Look, before a flight, at what post-flight will compare besides the baselines."""

from __future__ import annotations

DOCUMENTATION = r"""
module: postflight_reference
short_description: Look, before a flight, at what post-flight will compare besides the baselines
version_added: 0.1.0
description:
  - Takes the inventory of every control panel on the host, and notes which marks of filters (DKIM signature, spam headers) a delivered message carries.
  - Writes one document that M(intact.hosting.postflight_info) reads afterwards. Secrets are not in it, neither are digests of them.
  - With O(mail_recipient) one probe message is delivered and taken out of the mailbox again.
extends_documentation_fragment:
  - intact.hosting.info
  - intact.hosting.info.findings
attributes:
  check_mode:
    description: In check mode no message is sent and no document is written.
    support: full
  idempotent:
    support: none
    details: The document carries the moment of the look, so it is a new one each time.
author:
  - Intact contributors (@intact-project)
options:
  dest:
    description:
      - Path of the document on the host, written with mode V(0600). It is compressed when the name ends in V(.gz).
      - The directory has to be there.
    type: path
    required: true
  mail_recipient:
    description: A mailbox of the operator's own that a probe message is sent to. Empty sends none.
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
  - module: intact.hosting.postflight_info
"""

EXAMPLES = r"""
- name: Look at panels and mail filters before the flight
  intact.hosting.postflight_reference:
    dest: /var/lib/intact/flights/web1-20261130/postflight-reference.json.gz
    mail_recipient: probe@example.com
"""

RETURN = r"""
path:
  description: Where the document is.
  returned: success
  type: str
  sample: /var/lib/intact/flights/web1-20261130/postflight-reference.json.gz
marks:
  description: Marks of filters that the delivered message carries, by header; empty when none was sent.
  returned: success
  type: dict
  sample: {dkim-signature: [d=example.com], x-spam-status: [there]}
panels:
  description: Number of objects of each kind, by panel; C(error) for a panel that can't be asked.
  returned: success
  type: dict
  sample: {plesk: {domain: 12, mailbox: 212}}
findings:
  description: A message that did not arrive.
  returned: success
  type: list
  elements: dict
  sample: []
"""

import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory
from ansible_collections.intact.hosting.plugins.module_utils._postflight import filters, mail, panels
from ansible_collections.intact.hosting.plugins.module_utils._postflight._context import SCHEMA, Context
from ansible_collections.intact.hosting.plugins.module_utils._system import System


def look(system, options):
    """(document, findings)."""
    document, findings = {"schema": SCHEMA, "taken": _flight.now(), "panels": panels.look(system)}, []
    if options["mail_recipient"]:
        context = Context(host=system, options=options)
        findings = mail.delivery(context)
        if context.seen.get("headers") is not None:
            document["mail"] = {"marks": filters.marks(context.seen["headers"])}
    return document, findings


def main():
    """Look, write."""
    module = AnsibleModule(
        argument_spec=dict(
            dest=dict(type="path", required=True),
            mail_recipient=dict(type="str", default=""),
            mail_user=dict(type="str", default=""),
            mail_seconds=dict(type="int", default=60),
        ),
        supports_check_mode=True,
    )
    params = module.params
    folder = os.path.dirname(os.path.abspath(params["dest"]))
    if not os.path.isdir(folder):
        module.fail_json(msg="%s is not there: make the directory for the document first" % folder)
    options = {key: params[key] for key in ("mail_recipient", "mail_user", "mail_seconds")}
    if module.check_mode:
        options["mail_recipient"] = ""
    try:
        document, findings = look(System(), options)
        if not module.check_mode:
            write_document(params["dest"], document)
    except IntactError as exc:
        module.fail_json(msg=str(exc), details=exc.details)
    except OSError as exc:
        module.fail_json(msg="the document could not be written to %s: %s" % (params["dest"], exc.strerror))
    module.exit_json(
        changed=not module.check_mode,
        path=params["dest"],
        marks=(document.get("mail") or {}).get("marks", {}),
        panels={name: told if "error" in told else _inventory.counts(told) for name, told in document["panels"].items()},
        findings=[finding.as_dict() for finding in findings],
    )


if __name__ == "__main__":
    main()
