#!/usr/bin/python
# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Install the resident runner with its plan and start it, or attach to the one that works."""

from __future__ import annotations

DOCUMENTATION = r"""
module: upgrade_runner
short_description: Start the upgrade that the host does by itself
version_added: 0.1.0
description:
  - Writes the runner, its job and a systemd unit and timer, checks that the pre-flight result still holds, and starts the unit without waiting.
  - From then on the host does the work. A lost connection, a reboot or a killed process does not end it, the timer starts the runner again and it goes on.
  - Of two controllers that start at the same moment one starts and the other attaches, or says which flight works on the host.
  - An upgrade that runs is attached to, one that failed or was stopped is continued, one that is done is left alone.
options:
  flight_id:
    description: The flight.
    type: str
    required: true
  state:
    description:
      - V(started) starts, attaches or continues.
      - V(stopped) asks the runner to rest before its next stage. Before the point of no return it gives everything back.
    type: str
    choices: [started, stopped]
    default: started
  plan:
    description: The plan that M(intact.hosting.upgrade_plan_info) made. Needed for a start, ignored after the point of no return.
    type: dict
  release_path:
    description: The release path that the plan was made with.
    type: dict
  binding:
    description: What the pre-flight result is bound to, as M(intact.hosting.preflight_info) returned it. Every difference is a refusal.
    type: dict
  disks_options:
    description: The options of the baseline's section C(disks) with which the pre-flight looked.
    type: dict
    default: {}
  hold_before:
    description:
      - Names of stages before whose work the runner waits, for example V(reboot).
      - Written at every call, also when it attaches, so that it can be changed while it runs.
      - The runner waits until a call without the name, until the line is gone from the file C(hold) in its directory, or until it is asked to stop.
      - After the reboot that the runner asked for, V(reboot) is not waited before again. A call with O(state=stopped) leaves the list as it is.
    type: list
    elements: str
    default: []
  settings:
    description: How the stages behave.
    type: dict
    default: {}
    suboptions:
      protected:
        description: Shell patterns of packages that must not be removed without something in their place.
        type: list
        elements: str
        default: []
      accepted_removals:
        description: Shell patterns of packages that may be removed although the plan does not name them.
        type: list
        elements: str
        default: []
      source_map:
        description: As in M(intact.hosting.upgrade_plan_info).
        type: list
        elements: dict
        default: []
      conffiles:
        description: As in M(intact.hosting.upgrade_plan_info).
        type: list
        elements: dict
        default: []
      conffile_default:
        description: As in M(intact.hosting.upgrade_plan_info).
        type: str
        default: ''
      target_files_cover:
        description: Paths that the target files, which are staged in the runner's directory, will have.
        type: list
        elements: str
        default: []
      target_absent:
        description: Shell patterns of files that must be gone when the target files are installed. They are kept in the backup.
        type: list
        elements: str
        default: []
      postgresql:
        description: Keep clusters on their old version, or upgrade them.
        type: str
        choices: [keep, upgrade]
        default: keep
      postgresql_reindex:
        description: Rebuild the indexes of kept clusters when the C library's sort order changed.
        type: bool
        default: true
      autoremove:
        description: Remove what the plan says that nothing needs any more.
        type: bool
        default: true
      reboot:
        description: Reboot at the end.
        type: bool
        default: true
      rescue_ssh:
        description: A second way in while the host changes, by a copy of its own sshd.
        type: dict
        default: {}
        suboptions:
          port:
            description: The port. V(0) is no second way in.
            type: int
            default: 0
          from:
            description: Addresses and networks that get in. When empty, the address from which this module is called over SSH.
            type: list
            elements: str
            default: []
          keys_of:
            description: The user whose authorized keys let in as root.
            type: str
            default: root
      dead_man:
        description: An alarm by the host itself when no verdict came in time after its reboot.
        type: dict
        default: {}
        suboptions:
          minutes:
            description: Minutes until the alarm. V(0) is none.
            type: int
            default: 0
          command:
            description: What is called then, a program on the host with its whole path and its arguments. No shell reads them.
            type: list
            elements: str
            default: []
      stall_minutes:
        description: Minutes without a sign of work after which a package command is called stalled. It is left alone. V(0) is never.
        type: int
        default: 0
      rollback:
        description:
          - The way back that is taken before the first change, see M(intact.hosting.rollback). C(driver) is V(none), V(lvm), V(btrfs), V(hook) or V(restore).
        type: dict
        default: {}
attributes:
  check_mode:
    description: Can run in check mode and tell whether it would start, without writing anything.
    support: full
  diff_mode:
    description: Shows the plan.
    support: full
extends_documentation_fragment:
  - intact.hosting.reconnect
seealso:
  - module: intact.hosting.upgrade_plan_info
  - module: intact.hosting.upgrade_watch
author: Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Let the host upgrade itself
  intact.hosting.upgrade_runner:
    flight_id: "{{ flight_id }}"
    plan: "{{ __plan.plan }}"
    release_path: "{{ lookup('intact.hosting.release_path', 'debian-12-13') }}"
    binding: "{{ preflight_binding }}"
    settings:
      protected: [openssh-server, "nginx*"]

- name: Let the host upgrade itself, but wait before it reboots
  intact.hosting.upgrade_runner:
    flight_id: "{{ flight_id }}"
    plan: "{{ __plan.plan }}"
    release_path: "{{ lookup('intact.hosting.release_path', 'debian-12-13') }}"
    binding: "{{ preflight_binding }}"
    hold_before: [reboot]

- name: Ask for a rest before the next stage
  intact.hosting.upgrade_runner:
    flight_id: "{{ flight_id }}"
    state: stopped
"""

RETURN = r"""
action:
  description: What was done, or would be, V(start), V(attach), V(continue), V(stop) or V(nothing).
  returned: always
  type: str
  sample: start
state:
  description: The runner's state as it was found, empty before a first start.
  returned: always
  type: dict
directory:
  description: Where the runner keeps its state.
  returned: always
  type: str
  sample: /var/lib/intact/upgrade/web1-20261122-1900
reason:
  description: Why nothing was started, else empty.
  returned: always
  type: str
findings:
  description: How the pre-flight result no longer holds. When there are any, the module fails.
  returned: always
  type: list
  elements: dict
"""

from ansible.module_utils.basic import AnsibleModule

from ansible_collections.intact.hosting.plugins.module_utils import _binding
from ansible_collections.intact.hosting.plugins.module_utils._baseline import disks
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _caller, _deadman, _host, _install, _plan, _rescue_config, _stages, _state

RESCUE = {
    "port": {"type": "int", "default": 0},
    "from": {"type": "list", "elements": "str", "default": []},
    # The name of a user, no secret.
    "keys_of": {"type": "str", "default": "root", "no_log": False},
}
DEAD_MAN = {"minutes": {"type": "int", "default": 0}, "command": {"type": "list", "elements": "str", "default": []}}
SETTINGS = {
    "protected": {"type": "list", "elements": "str", "default": []},
    "accepted_removals": {"type": "list", "elements": "str", "default": []},
    "source_map": {"type": "list", "elements": "dict", "default": []},
    "conffiles": {"type": "list", "elements": "dict", "default": []},
    "conffile_default": {"type": "str", "default": ""},
    "target_files_cover": {"type": "list", "elements": "str", "default": []},
    "target_absent": {"type": "list", "elements": "str", "default": []},
    "postgresql": {"type": "str", "choices": ["keep", "upgrade"], "default": "keep"},
    "postgresql_reindex": {"type": "bool", "default": True},
    "autoremove": {"type": "bool", "default": True},
    "reboot": {"type": "bool", "default": True},
    "rescue_ssh": {"type": "dict", "default": {}, "options": RESCUE, "apply_defaults": True},
    "dead_man": {"type": "dict", "default": {}, "options": DEAD_MAN, "apply_defaults": True},
    "stall_minutes": {"type": "int", "default": 0},
    "rollback": {"type": "dict", "default": {}},
}
SPEC = {
    "flight_id": {"type": "str", "required": True},
    "state": {"type": "str", "choices": ["started", "stopped"], "default": "started"},
    "plan": {"type": "dict"},
    "release_path": {"type": "dict"},
    "binding": {"type": "dict"},
    "disks_options": {"type": "dict", "default": {}},
    "hold_before": {"type": "list", "elements": "str", "default": []},
    "settings": {"type": "dict", "default": {}, "options": SETTINGS, "apply_defaults": True},
    "reconnect_seconds": {"type": "int", "default": 0},
}


def refusals(binding, disks_options):
    """Findings for what changed since the pre-flight."""
    items = (disks.capture(System(disks_options)) or {}).get("items", {})
    return _binding.differences(binding, _binding.current(System(), items))


def job_of(params, state, action):
    """The job to write. Past the point of no return its plan and release path stay what they were, and all of it when it is only attached to."""
    if action == "attach":
        return _install.read_job(params["flight_id"])
    job = {key: params[key] for key in ("plan", "release_path", "settings")}
    job.update(flight=params["flight_id"], binding=params["binding"] or {})
    if state and state["point_of_no_return"]:
        old = _install.read_job(params["flight_id"])
        job.update(plan=old["plan"], release_path=old["release_path"], binding=old["binding"])
    if not job["plan"] or not job["release_path"]:
        raise IntactError("plan and release_path are needed to start the upgrade")
    _plan.check(job["plan"])
    return job


def see_to_settings(settings):
    """Fill in and check what could only fail later on the host."""
    way = settings["rescue_ssh"]
    if way["port"]:
        if not 0 < way["port"] < 65536:
            raise IntactError("distro_upgrade_rescue_ssh_port is %d, which is no port" % way["port"])
        caller = _caller.connection()
        way["from"] = _rescue_config.addresses(way["from"] or ([caller] if caller else []))
    try:
        _deadman.check(settings)
    except _host.StageFailure as exc:
        raise IntactError("%s; %s" % (exc, exc.following)) from exc


def lines(texts):
    """Text of one line each."""
    return "".join(text + "\n" for text in texts)


def begin(module, result):
    """Start, attach or continue; fills the result."""
    params = module.params
    if not params["release_path"]:
        raise IntactError("release_path is needed to start the upgrade")
    action, state = _install.intent(params["flight_id"], params["release_path"]["target"])
    result.update(action=action, state=state or {})
    if action == "nothing":
        went_back = bool(state) and state["status"] == "rolled-back"
        result["reason"] = (
            "the host went back to before this flight"
            if went_back
            else "the upgrade is done"
            if state
            else "this host is already on %s" % params["release_path"]["target"]["codename"]
        )
        return
    hold, before = params["hold_before"], _state.read_hold(result["directory"])
    if action == "attach" and (not state or _install.active()):
        flight, process = _install.working() or (params["flight_id"], 0)
        result["reason"] = "the runner of flight %s works already%s: attached to it" % (flight, " (process %d)" % process if process else "")
        result["changed"] = hold != before
        if module._diff:
            result["diff"] = {"before_header": "held before", "after_header": "held before", "before": lines(before), "after": lines(hold)}
        if not module.check_mode:
            _state.write_hold(result["directory"], hold)
        return
    see_to_settings(params["settings"])
    job = job_of(params, state, action)
    # A runner that a cut keeps away may have changed packages already: then its own checks decide, not the pre-flight's.
    if action != "attach" and not (state and state["point_of_no_return"]):
        if not params["binding"]:
            raise IntactError("binding is needed: nothing starts without a pre-flight result")
        result["findings"] = [finding.as_dict() for finding in refusals(params["binding"], params["disks_options"])]
        if result["findings"]:
            sentences = ["%s (%s). %s" % (f["title"], f["evidence"], f["remedy"]) for f in result["findings"]]
            raise IntactError("the pre-flight result no longer holds: " + "; ".join(sentences), **result)
    result["changed"] = True
    if module._diff:
        result["diff"] = {"before_header": "today", "after_header": "upgrade", "before": "", "after": lines(_plan.lines(job["plan"]))}
    if module.check_mode:
        return
    if action == "continue":
        _install.renew(state)
    _install.install(job)
    # Before the start: the very first stage may be meant.
    _state.write_hold(result["directory"], hold)
    _install.begin(params["flight_id"])
    _install.start()


def main():
    """Read, decide, act, tell."""
    module = AnsibleModule(argument_spec=SPEC, supports_check_mode=True)
    params = module.params
    result = {"changed": False, "action": "", "state": {}, "reason": "", "findings": []}
    try:
        params["hold_before"] = _stages.check(params["hold_before"])
        result["directory"] = _state.directory(params["flight_id"])
        if params["state"] == "started":
            lock = None if module.check_mode else _install.exclusive(params["flight_id"])
            begin(module, result)
            if lock:
                lock.close()
        else:
            state = _state.load(params["flight_id"])
            result.update(action="nothing", state=state or {}, reason="it does not run")
            if state and state["status"] in ("running", "waiting-reboot"):
                result.update(action="stop", changed=True, reason="")
                if not module.check_mode:
                    _install.ask_to_stop(params["flight_id"])
    except IntactError as exc:
        module.fail_json(msg=str(exc), **exc.details)
    module.exit_json(**result)


if __name__ == "__main__":
    main()
