#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

from __future__ import annotations

DOCUMENTATION = r"""
module: flight_event
short_description: Write one event to a flight's journal
version_added: 0.1.0
description:
  - Appends one line to the journal of a flight and makes it durable before it returns.
  - Opening and closing are done by M(intact.hosting.flight).
author:
  - Intact contributors (@intact-project)
attributes:
  check_mode:
    description: Checks the event and writes nothing.
    support: full
  diff_mode:
    description: The journal is the record; no difference is shown.
    support: none
options:
  event:
    description: The event's name.
    type: str
    choices: [stage.start, stage.progress, stage.end, gate, decision, proof, note, estimate, confirmation, watch, alarm]
    required: true
  fields:
    description:
      - The event's fields. V(stage.start), V(stage.progress) and V(stage.end) need C(stage), V(stage.end) also C(result), which is one of
        V(ok), V(failed) or V(skipped). V(gate) needs C(name) and C(go), V(decision) needs C(what), C(who) and C(why), V(proof) needs C(name)
        and C(taken), V(note) needs C(text), V(estimate) needs C(total), C(high) and C(stages), V(confirmation) needs C(before), C(who), C(by) and C(how),
        V(watch) needs C(state), V(alarm) needs C(state), C(id), C(subject) and C(title).
      - No secrets; the journal is copied to the controller and printed in the report.
    type: dict
    default: {}
  once:
    description: Write nothing when the journal has an event with these fields already, so that a continued run does not repeat it.
    type: bool
    default: false
  flight_id:
    description: The flight. The one that is open on the host when it is empty.
    type: str
    default: ''
  root:
    description: Directory that holds the flights on the host.
    type: path
    default: /var/lib/intact/flights
seealso:
  - module: intact.hosting.flight
"""

EXAMPLES = r"""
- name: Note which backup is relied on
  intact.hosting.flight_event:
    event: proof
    once: true
    fields:
      name: restore drill of the offsite repository
      taken: '2026-11-21T02:10:00Z'
      digest: sha256:6f1c0c9e
"""

RETURN = r"""
event:
  description: The event as it was written. In check mode, and when it was there already, without its time.
  returned: success
  type: dict
  sample: {event: note, text: customers were told, time: '2026-11-22T11:34:05.120Z'}
flight_id:
  description: The flight it was written to.
  returned: success
  type: str
  sample: web1-upgrade-20261122t1134z
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NEEDED = {
    "stage.start": ("stage",),
    "stage.progress": ("stage",),
    "stage.end": ("stage", "result"),
    "gate": ("name", "go"),
    "decision": ("what", "who", "why"),
    "proof": ("name", "taken"),
    "note": ("text",),
    "estimate": ("total", "high", "stages"),
    "confirmation": ("before", "who", "by", "how"),
    "watch": ("state",),
    "alarm": ("state", "id", "subject", "title"),
}
RESERVED = ("time", "monotonic", "boot", "event", "root")


def checked(event, fields):
    """The fields, or IntactError naming what is wrong with them."""
    missing = [key for key in NEEDED[event] if fields.get(key) in (None, "")]
    if missing:
        raise IntactError("event %s lacks %s" % (event, ", ".join(missing)))
    taken = [key for key in RESERVED if key in fields]
    if taken:
        raise IntactError("event %s must not set %s: the journal does" % (event, ", ".join(taken)))
    if event == "stage.end" and fields["result"] not in ("ok", "failed", "skipped"):
        raise IntactError("result of stage %s is %r: ok, failed or skipped" % (fields["stage"], fields["result"]))
    return fields


def main():
    module = AnsibleModule(
        argument_spec=dict(
            event=dict(type="str", choices=list(NEEDED), required=True),
            fields=dict(type="dict", default={}),
            once=dict(type="bool", default=False),
            flight_id=dict(type="str", default=""),
            root=dict(type="path", default=_flight.FLIGHTS),
        ),
        supports_check_mode=True,
    )
    name, root = module.params["event"], module.params["root"]
    try:
        fields = checked(name, module.params["fields"])
        flight = module.params["flight_id"] or _flight.current(root)
        if not flight:
            raise IntactError("no flight is open on this host: open one with intact.hosting.flight, or name it in flight_id")
        events, _torn = _flight.read(flight, root)
        if not events and not module.check_mode:
            raise IntactError("flight %s has no journal below %s: is the id right?" % (flight, root))
        wanted = dict(fields, event=name)
        there = module.params["once"] and any(all(e.get(k) == v for k, v in wanted.items()) for e in events)
        if not there and not module.check_mode:
            wanted = _flight.append(flight, name, root, **fields)
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    except OSError as exc:
        module.fail_json(msg="the journal below %s cannot be written: %s" % (root, exc))
    module.exit_json(changed=not there, event=wanted, flight_id=flight)


if __name__ == "__main__":
    main()
