#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flight
short_description: Open, continue or close the flight of a host
version_added: 0.1.0
description:
  - A flight is one maintenance of one host, with an append-only journal in its directory below O(root).
  - Opening continues the flight that is already open on the host, so that an interrupted run is continued and not started anew.
  - A host has one open flight at most. An open flight of another O(kind) is refused.
extends_documentation_fragment:
  - intact.hosting.reconnect
author:
  - Intact contributors (@intact-project)
attributes:
  check_mode:
    description: Says which flight would be opened, continued or closed.
    support: full
  diff_mode:
    description: The journal is the record; no difference is shown.
    support: none
options:
  state:
    description: Whether the flight shall be open or closed.
    type: str
    choices: [open, closed]
    default: open
  kind:
    description: What is being done, a word that becomes part of the flight's id.
    type: str
    default: upgrade
  host:
    description: The host's name in the flight's id and in the report. The host's own short name when it is empty.
    type: str
    default: ''
  source:
    description: What the host is before, for the report, for example V(Debian 12).
    type: str
    default: ''
  target:
    description: What the host shall be afterwards, for the report, for example V(Debian 13).
    type: str
    default: ''
  budget_seconds:
    description: How long the whole flight may take. V(0) sets no budget.
    type: int
    default: 0
  budgets:
    description: How long each stage may take, as a mapping of stage to seconds.
    type: dict
    default: {}
  window_start:
    description: When the maintenance window opens, in ISO 8601 with its offset from UTC. Empty sets none.
    type: str
    default: ''
  window_end:
    description: When the maintenance window closes, in ISO 8601 with its offset from UTC. Empty sets none.
    type: str
    default: ''
  contacts:
    description: Who is to be called for this work, for the report. Never told to customers.
    type: list
    elements: dict
    default: []
    suboptions:
      name: {type: str, required: true, description: The person or the desk.}
      role: {type: str, default: '', description: What for.}
      phone: {type: str, default: '', description: Phone number.}
      mail: {type: str, default: '', description: Mail address.}
  verdict:
    description: How the flight ended. Required with O(state=closed).
    type: str
    choices: [intact, loss, failed, rolled-back]
  note:
    description: One sentence for the journal.
    type: str
    default: ''
  root:
    description: Directory that holds the flights on the host.
    type: path
    default: /var/lib/intact/flights
seealso:
  - module: intact.hosting.flight_event
  - module: intact.hosting.flight_report
"""

EXAMPLES = r"""
- name: Open the flight, or continue the one that is open
  intact.hosting.flight:
    kind: upgrade
    host: "{{ inventory_hostname_short }}"
    source: Debian 12
    target: Debian 13
    budget_seconds: 7200
    budgets:
      full: 1800
      reboot: 300
  register: opened

- name: Close the flight
  intact.hosting.flight:
    state: closed
    kind: upgrade
    verdict: intact
"""

RETURN = r"""
flight_id:
  description: The flight's id. Empty when O(state=closed) found no open flight.
  returned: success
  type: str
  sample: web1-upgrade-20261122t1134z
directory:
  description: The flight's directory on the host. Empty when there is no flight.
  returned: success
  type: str
  sample: /var/lib/intact/flights/web1-upgrade-20261122t1134z
resumed:
  description: Whether a flight that was open already is continued.
  returned: success
  type: bool
  sample: false
opened:
  description: When the flight was opened, in UTC. Empty when there is no flight, and in check mode before it exists.
  returned: success
  type: str
  sample: '2026-11-22T11:34:05.120Z'
budget_seconds:
  description: How long the whole flight may take, as it was said when it was opened. V(0) when no budget was set.
  returned: success
  type: int
  sample: 7200
budget:
  description: How many seconds the flight has, by its budget or until its window closes, whichever is less. V(0) when nothing bounds it.
  returned: success
  type: int
  sample: 7200
budgets:
  description: How long each stage may take, as it was said when the flight was opened.
  returned: success
  type: dict
  sample: {full: 1800, reboot: 300}
"""

import os
import re
import socket

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _budget, _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

KIND = re.compile(r"^[a-z][a-z0-9]{1,30}$")


def found(params):
    """The flight that is open on the host: (id or "", its opening event or None); another kind is refused."""
    name = _flight.current(params["root"])
    if not name:
        return "", None
    opening = _flight.opening(_flight.read(name, params["root"])[0])
    # A cut between pointer and journal leaves an id without an opening: the id still tells the kind.
    same = opening["kind"] == params["kind"] if opening else "-%s-" % params["kind"] in name
    if not same:
        raise IntactError(
            "flight %s is open on this host and is not of kind %s: finish it by its own playbook, or close it with state: closed and its kind"
            % (name, params["kind"])
        )
    return name, opening


def told(changed, name, root, resumed, opening):
    """The module's result about a flight."""
    opening = opening or {}
    return dict(
        changed=changed,
        flight_id=name,
        directory=_flight.directory(name, root) if name else "",
        resumed=resumed,
        opened=opening.get("time", ""),
        budget_seconds=(opening.get("window") or {}).get("budget_seconds") or 0,
        budget=int(_budget.seconds(opening)),
        budgets=opening.get("budgets") or {},
    )


def window(params):
    """The window of the opening event; IntactError names a moment that is none."""
    out = {"start": _flight.now(), "budget_seconds": params["budget_seconds"]}
    for key, name in (("opens", "window_start"), ("end", "window_end")):
        when = _budget.moment(params[name], "intact_" + name)
        if when:
            out[key] = when.isoformat().replace("+00:00", "Z")
    return out


def taken(root):
    """Names that exist below root."""
    return os.listdir(root) if os.path.isdir(root) else []


def open_flight(params, check):
    """Continue or open; the module's result."""
    root = params["root"]
    name, opening = found(params)
    resumed = bool(name)
    if not resumed:
        name = _flight.new_id(params["host"], params["kind"], taken=taken(root))
    if not check and opening is None:
        _flight.ensure(name, root)
        _flight.set_current(name, root)
        opening = _flight.append(
            name,
            "flight.open",
            root,
            host=params["host"],
            kind=params["kind"],
            source=params["source"],
            target=params["target"],
            window=window(params),
            contacts=params["contacts"],
            budgets=params["budgets"],
            note=params["note"],
        )
        return told(True, name, root, resumed, opening)
    if resumed and not check:
        _flight.append(name, "note", root, text="continued" + (": " + params["note"] if params["note"] else ""))
    return told(not resumed, name, root, resumed, opening)


def close_flight(params, check):
    """Close what is open; the module's result."""
    name, opening = found(params)
    if not name:
        return told(False, "", params["root"], False, None)
    if not check:
        _flight.append(name, "flight.close", params["root"], verdict=params["verdict"], note=params["note"])
        _flight.set_current(None, params["root"])
    return told(True, name, params["root"], True, opening)


def main():
    module = AnsibleModule(
        argument_spec=dict(
            state=dict(type="str", choices=["open", "closed"], default="open"),
            kind=dict(type="str", default="upgrade"),
            host=dict(type="str", default=""),
            source=dict(type="str", default=""),
            target=dict(type="str", default=""),
            budget_seconds=dict(type="int", default=0),
            budgets=dict(type="dict", default={}),
            window_start=dict(type="str", default=""),
            window_end=dict(type="str", default=""),
            contacts=dict(
                type="list",
                elements="dict",
                default=[],
                options=dict(
                    name=dict(type="str", required=True),
                    role=dict(type="str", default=""),
                    phone=dict(type="str", default=""),
                    mail=dict(type="str", default=""),
                ),
            ),
            verdict=dict(type="str", choices=["intact", "loss", "failed", "rolled-back"]),
            note=dict(type="str", default=""),
            root=dict(type="path", default=_flight.FLIGHTS),
            reconnect_seconds=dict(type="int", default=0),
        ),
        required_if=[("state", "closed", ["verdict"])],
        supports_check_mode=True,
    )
    params = dict(module.params)
    params["host"] = params["host"] or socket.gethostname().split(".")[0]
    if not KIND.match(params["kind"]):
        module.fail_json(msg="kind %r is not one lower-case word like upgrade" % params["kind"])
    try:
        result = (open_flight if params["state"] == "open" else close_flight)(params, module.check_mode)
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except OSError as exc:
        module.fail_json(msg="the flight's directory below %s cannot be used: %s" % (params["root"], exc))
    module.exit_json(**result)


if __name__ == "__main__":
    main()
