#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Capture what a host is at this moment."""

from __future__ import annotations

DOCUMENTATION = r"""
module: baseline_info
short_description: Capture what a host is at this moment
version_added: 0.1.0
description:
  - Looks at disks, mounts, network, resolver, accounts, packages, integrity of their files, services, runtimes, sockets, sites, TLS, mail, queue, lists, DNS,
    databases, cron, log rotation, firewall, confinement, sysctl, files and resources of a host, and returns or writes one document with one section for each.
  - Reads only. The two things that may be written are the document itself (O(dest)) and, on the first run, the random key C(/var/lib/intact/baseline.key)
    with which password hashes are digested, so that the document holds no password hash. In check mode neither is written.
  - What could not be read, or was left out because of a limit, is in the document with its reason and is returned as a finding.
extends_documentation_fragment:
  - intact.hosting.info
  - intact.hosting.info.findings
attributes:
  idempotent:
    support: none
    details: The document written to O(dest) carries the moment of the capture, so it is a new one each time.
author:
  - Intact contributors (@intact-project)
options:
  dest:
    description:
      - Write the document to this path on the host, with mode V(0600). It is compressed when the name ends in V(.gz).
      - The directory has to be there.
      - Without it the document is returned as RV(baseline).
    type: path
  sections:
    description:
      - Capture only these sections. The others are in the document as switched off.
      - All sections when empty.
    type: list
    elements: str
    default: []
  exclude:
    description:
      - Sections that are not captured.
    type: list
    elements: str
    default: []
  options:
    description:
      - Settings of single sections, by section.
    type: dict
    default: {}
  limits:
    description:
      - How much a section may cost, as C(seconds) and C(bytes) of content read, by section. V(0) is no limit.
      - The limits of C(default) hold for sections that are not named.
    type: dict
    default: {}
  reference:
    description:
      - Path on the host of the earlier document that this look will be compared with.
      - With it, the look asks what only it can tell of that moment, such as whether rows that a table had then are still the same below the rows added since.
        Without it, a table that grew at its end is told as a warning.
    type: path
  settle:
    description:
      - When the host booted less than this many seconds ago, wait for that age, for the end of the boot and for listeners that stay the same.
      - Daemons go on starting after their unit counts as started. Without the wait, they would be reported as missing.
      - V(0) does not wait.
    type: int
    default: 90
seealso:
  - module: intact.hosting.baseline_compare
"""

EXAMPLES = r"""
- name: Capture the baseline before the maintenance
  intact.hosting.baseline_info:
    dest: /var/lib/intact/flights/web1-20261130/baseline-before.json.gz
    limits:
      default:
        seconds: 120
      files:
        seconds: 900
        bytes: 20000000000
  register: baseline

- name: Look at mounts and services only
  intact.hosting.baseline_info:
    sections: [mounts, services]
  register: baseline
"""

RETURN = r"""
sections:
  description: State of each section, its cost and its numbers.
  returned: success
  type: dict
  sample: {mounts: {status: ok, reason: "", seconds: 0.01, bytes: 0, summary: {mounted: 5}}}
findings:
  description: What was not looked at, and why.
  returned: success
  type: list
  elements: dict
  sample: []
baseline:
  description: The document.
  returned: without O(dest)
  type: dict
  sample: {schema: 1, taken: "2026-11-30T01:00:00.000Z", sections: {}}
path:
  description: Where the document is.
  returned: with O(dest)
  type: str
  sample: /var/lib/intact/flights/web1-20261130/baseline-before.json.gz
sha256:
  description: Digest of the document as written.
  returned: with O(dest), not in check mode
  type: str
  sample: 9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08
waited:
  description: Seconds waited for a host that had only just booted.
  returned: success
  type: float
  sample: 0
seconds:
  description: How long the capture took.
  returned: success
  type: float
  sample: 12.4
"""

import hashlib
import os

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _document, _registry, _settle
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System


def plan(params, known):
    """Names of the sections to leave out. Raises IntactError for a section nobody knows."""
    for option in ("sections", "exclude", "options", "limits"):
        unknown = sorted(set(params[option]) - set(known) - ({"default"} if option == "limits" else set()))
        if unknown:
            raise IntactError("%s names %s: the sections are %s" % (option, ", ".join(unknown), ", ".join(known)))
    wanted = params["sections"] or list(known)
    return [name for name in known if name not in wanted or name in params["exclude"]]


def main():
    """Capture, write, report."""
    module = AnsibleModule(
        argument_spec=dict(
            dest=dict(type="path"),
            sections=dict(type="list", elements="str", default=[]),
            exclude=dict(type="list", elements="str", default=[]),
            options=dict(type="dict", default={}),
            limits=dict(type="dict", default={}),
            reference=dict(type="path"),
            settle=dict(type="int", default=90),
        ),
        supports_check_mode=True,
    )
    params = module.params
    dest = params["dest"]
    try:
        off = plan(params, _registry.PROBES)
        if dest and not os.path.isdir(os.path.dirname(os.path.abspath(dest))):
            raise IntactError("%s is not there: make the directory for the document first" % os.path.dirname(os.path.abspath(dest)))
        options = dict(params["options"])
        if module.check_mode:
            options["accounts"] = dict(options.get("accounts") or {}, read_only=True)
        earlier = _document.load(params["reference"]) if params["reference"] else None
        waited = _settle.wait(System(), params["settle"])
        document = _document.capture(_registry.PROBES, off=off, options=options, limits=params["limits"], earlier=earlier)
        result = {"changed": bool(dest), "seconds": document["seconds"], "waited": waited}
        if dest:
            result["path"] = dest
            if not module.check_mode:
                write_document(dest, document)
                result["sha256"] = hashlib.sha256(read_if_exists(dest)).hexdigest()
        else:
            result["baseline"] = document
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except OSError as exc:
        module.fail_json(msg="the document could not be written to %s: %s" % (dest, exc.strerror), path=dest)
    result["sections"] = {
        name: dict({key: section[key] for key in ("status", "reason", "seconds", "bytes")}, summary=_compare.summary(section))
        for name, section in document["sections"].items()
    }
    result["findings"] = [
        finding.as_dict() for name, section in document["sections"].items() for finding in _compare.state_findings(name, {"status": "ok"}, section)
    ]
    module.exit_json(**result)


if __name__ == "__main__":
    main()
