# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Put the runner on the host and start it: its own sources, its job, its unit and timer."""

from __future__ import annotations

import os
import re
import sys

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._files import fsync_directory, read_if_exists, write_atomic, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _runner, _stages, _state

PACKAGE = "ansible_collections.intact.hosting.plugins.module_utils"
# Everything the runner imports, and nothing else; a test runs it from a directory that holds only these.
PARTS = (
    "_findings",
    "_files",
    "_command",
    "_flight",
    "_budget",
    "_system",
    "_binding",
    "_apt_sources",
    "_upgrade",
    "_upgrade._stages",
    "_upgrade._state",
    "_upgrade._stall",
    "_upgrade._progress",
    "_upgrade._host",
    "_upgrade._firewall_door",
    "_upgrade._private_copy",
    "_upgrade._rescue_config",
    "_upgrade._rescue_try",
    "_upgrade._rescue",
    "_upgrade._deadman",
    "_upgrade._again",
    "_upgrade._heal",
    "_upgrade._quiet",
    "_upgrade._databases",
    "_upgrade._postgresql",
    "_upgrade._carry",
    "_conffiles",
    "_upgrade._questions",
    "_upgrade._configuration",
    "_rollback",
    "_rollback._place",
    "_rollback._grub",
    "_rollback._entry",
    "_rollback._boot",
    "_rollback._lvm_look",
    "_rollback.lvm",
    "_rollback.btrfs",
    "_rollback.hook",
    "_rollback.restore",
    "_rollback._drivers",
    "_rollback._stage",
    "_upgrade._engine",
    "_upgrade._apache",
    "_upgrade._debian",
    "_upgrade._packages",
    "_upgrade._private_apt",
    "_upgrade._suites",
    "_upgrade._simulate",
    "_upgrade._plan",
    "_upgrade._release_upgrader",
    "_upgrade._rpm_says",
    "_upgrade._rpm_host",
    "_upgrade._rpm_heal",
    "_upgrade._rpm_sources",
    "_upgrade._rpm",
    "_upgrade._dnf",
    "_upgrade._zypper",
    "_upgrade._leapp_report",
    "_upgrade._leapp",
    "_upgrade._runner",
)
MAIN = (
    """import os, sys
sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
from %s._upgrade import _runner
sys.exit(_runner.main(sys.argv[1]))
"""
    % PACKAGE
)

# For the second way in: firewalls are loaded anew at boot.
DOOR = MAIN.replace("_runner", "_rescue").replace("main(", "door_main(")

SERVICE = """[Unit]
Description=Upgrade of flight {flight}
Documentation=man:systemctl(1)
After=local-fs.target network.target
StartLimitIntervalSec=0
# Stopping it would cut dpkg. Ask for a stop between two stages instead: intact.hosting.upgrade_runner, state stopped.
RefuseManualStop=yes

[Service]
Type=exec
# When a cut left Python unusable, dpkg is configured without it first.
Environment=DEBIAN_FRONTEND=noninteractive UCF_FORCE_CONFFOLD=1
ExecStartPre=-/bin/sh -c '/usr/bin/python3 -I -c "import json, fcntl, tarfile" || dpkg --configure -a --force-confdef --force-confold </dev/null'
ExecStart=/usr/bin/python3 -I -B {directory}/runner/__main__.py {directory}
# Package managers that it started go on when it is killed, and are waited for by the next start.
KillMode=process
OOMScoreAdjust=-900
TimeoutStartSec=infinity
Restart=no
StandardOutput=append:{directory}/runner.log
StandardError=append:{directory}/runner.log
"""

TIMER = """[Unit]
Description=Go on with the upgrade of flight {flight} after a cut or a reboot

[Timer]
OnActiveSec=10s
OnUnitInactiveSec=30s
AccuracySec=1s
Unit=intact-upgrade.service

[Install]
WantedBy=timers.target
"""


def source(name):
    """Source text of one of our modules, from wherever it was imported (a directory, or Ansible's zip)."""
    full = PACKAGE + "." + name
    __import__(full)
    loader = sys.modules[full].__loader__
    text = loader.get_source(full)
    if text is None:
        raise IntactError("the source of %s cannot be read: the runner cannot be installed" % full)
    return text


def files():
    """{relative path: text} of the runner's program."""
    out = {"__main__.py": MAIN, "door.py": DOOR}
    parts = PACKAGE.split(".")
    for depth in range(1, len(parts) + 1):
        out["/".join(parts[:depth]) + "/__init__.py"] = ""
    for name in PARTS:
        path = "/".join(parts + name.split("."))
        out[path + ("/__init__.py" if name in ("_upgrade", "_rollback") else ".py")] = source(name)
    return out


def unfinished(flight, root=_state.ROOT, flights=_flight.FLIGHTS):
    """The id of another flight whose upgrade is under way on this host, or None."""
    for name in sorted(os.listdir(root)) if os.path.isdir(root) else []:
        if name == flight or not os.path.exists(os.path.join(root, name, "state.json")):
            continue
        # A torn one is told from the journal: it must not let a second upgrade begin.
        state = _state.load(name, root, flights)
        if state and (state["status"] in ("running", "waiting-reboot") or (state["point_of_no_return"] and state["status"] not in ("done", "rolled-back"))):
            return name
    return None


def working(root=_state.ROOT):
    """(flight, process or 0) of the runner that works or is about to, None when there is none. Told by the lock, else by the unit."""
    held = _state.holder(root)
    if held:
        return held
    unit = (read_if_exists(os.path.join(_runner.UNITS, _runner.UNIT + ".service")) or b"").decode("utf-8", "replace")
    found = re.search(r"^ExecStart=.* (\S+)$", unit, re.M)
    return (os.path.basename(found.group(1)), 0) if found and active() else None


def exclusive(flight, root=_state.ROOT, patience=60):
    """The lock of who decides about a start, as an open file: two controllers at once would both find that nothing runs."""
    return _state.exclusive("starting an upgrade", root, flight, "start.lock", patience)


def release():
    """{id, version, codename} of the running system, from os-release; "" for what it does not say."""
    facts = {}
    for line in (read_if_exists("/etc/os-release") or b"").decode("utf-8", "replace").splitlines():
        key, _sign, value = line.partition("=")
        facts[key] = value.strip().strip('"')
    return {"id": facts.get("ID", ""), "version": facts.get("VERSION_ID", ""), "codename": facts.get("VERSION_CODENAME", "")}


def arrived(running, target):
    """Whether a running release ({id, version, codename}) is the target's: by its codename where there is one, else by its version, minor ones aside. Pure."""
    if target.get("codename"):
        return running["codename"] == target["codename"]
    wanted = str(target["version"])
    return running["id"] == target["id"] and (running["version"] == wanted or ("." not in wanted and running["version"].split(".")[0] == wanted))


def intent(flight, target, root=_state.ROOT, flights=_flight.FLIGHTS):
    """What starting would mean now: (attach | continue | nothing | start, state or None). Reads only."""
    now = working(root)
    if now and now[0] != flight:
        raise IntactError("the upgrade of flight %s works on this host (process %d): watch that one, this one changed nothing" % (now[0] or "unknown", now[1]))
    other = unfinished(flight, root, flights)
    if other:
        raise IntactError("the upgrade of flight %s is not finished on this host: continue that one" % other)
    state = _state.load(flight, root, flights)
    if now and not state:
        # Started a moment ago, from somewhere else: it has written nothing yet.
        return "attach", None
    if state:
        if state["status"] in ("done", "rolled-back"):
            return "nothing", state
        return ("attach" if state["status"] in ("running", "waiting-reboot") else "continue"), state
    if arrived(release(), target):
        return "nothing", None
    return "start", None


def install(job, root=_state.ROOT):
    """Write the program, the job and the units; returns the directory. A job past its point of no return keeps its plan."""
    directory = _state.directory(job["flight"], root)
    os.makedirs(directory, mode=0o700, exist_ok=True)
    os.chmod(root, 0o711)
    os.chmod(directory, 0o711)
    for relative, text in files().items():
        path = os.path.join(directory, "runner", relative)
        os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
        write_atomic(path, text.encode())
    write_document(os.path.join(directory, "job.json"), job)
    # systemd would make it readable for everybody
    os.close(os.open(os.path.join(directory, "runner.log"), os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600))
    fsync_directory(directory)
    for suffix, text in ((".service", SERVICE), (".timer", TIMER)):
        path = os.path.join(_runner.UNITS, _runner.UNIT + suffix)
        write_atomic(path, text.format(flight=job["flight"], directory=directory).encode(), 0o644)
    return directory


def start():
    """Enable the timer first, so that a cut from here on is recovered from, then start without waiting."""
    run(["systemctl", "daemon-reload"])
    run(["systemctl", "reset-failed", _runner.UNIT + ".service"], check=False)
    run(["systemctl", "enable", _runner.UNIT + ".timer"])
    # systemctl tells nobody's disk of the link that starts it at the next boot
    run(["sync", "-f", _runner.UNITS], timeout=600, check=False)
    run(["systemctl", "restart", _runner.UNIT + ".timer"])
    run(["systemctl", "start", "--no-block", _runner.UNIT + ".service"])


def begin(flight, root=_state.ROOT, flights=_flight.FLIGHTS):
    """Write the first state of a flight that has none: from here on another start knows of it."""
    if _state.load(flight, root, flights) is None:
        _state.Memory(_state.fresh(flight), root, flights).save(message="starting")


def renew(state, root=_state.ROOT):
    """Let a failed or stopped flight run again: the count of failures starts anew."""
    memory = _state.Memory(state, root)
    for name in _stages.ORDER:
        if state["stages"][name]["status"] == "failed":
            state["stages"][name].update(status="", note="", began="")
    stop = os.path.join(_state.directory(state["flight"], root), "stop")
    if os.path.exists(stop):
        os.unlink(stop)
    memory.save(status="running", attempts={}, next="", message="starting again")


def ask_to_stop(flight, root=_state.ROOT):
    """Ask the runner to rest before its next stage."""
    write_atomic(os.path.join(_state.directory(flight, root), "stop"), b"")


def read_job(flight, root=_state.ROOT):
    """The job that was written for a flight."""
    directory = _state.directory(flight, root)
    try:
        return _runner.read_job(directory)
    except _runner.JobError as exc:
        raise IntactError("%s: copy job.json back from the backup of %s, then start the upgrade again" % (exc, directory)) from exc


def active():
    """Whether the runner's unit or its timer works, so that it needs no start."""
    states = run(["systemctl", "is-active", _runner.UNIT + ".service", _runner.UNIT + ".timer"], check=False).text.split()
    return "active" in states or "activating" in states
