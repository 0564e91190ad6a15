# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The backup's program on the host, started by systemd or by hand: `run all`, `run files mail`, `state`.

Exit 0: ok; 1: there are findings; 2: failed; 75: busy.
"""

from __future__ import annotations

import datetime
import gc
import json
import os
import signal
import sys
import traceback

from ansible_collections.intact.hosting.plugins.module_utils._backup import _job, _metrics, _restic, _run, _state
from ansible_collections.intact.hosting.plugins.module_utils._backup._classes import CLASSES
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError, gate, table
from ansible_collections.intact.hosting.plugins.module_utils._system import System

HOME = _run.HOME
JOB = "/etc/intact/backup/job.json"
CODES = {"ok": 0, "findings": 1, "failed": 2}
BUSY = 75  # EX_TEMPFAIL


def read_job(path=JOB):
    """The checked job of this host."""
    try:
        job = read_document(path)
    except (OSError, ValueError) as exc:
        raise IntactError("the job %s cannot be read (%s): run the role host_backup" % (path, exc)) from exc
    return _job.check(job)


def in_use(job, system):
    """Classes that this host has to have a backup of."""
    return [
        name
        for name, module in CLASSES.items()
        if job["classes"][name]["enabled"] is True or (job["classes"][name]["enabled"] == "auto" and module.in_use(system))
    ]


def backup(job, classes, home=HOME, system=None):
    """One run with this job; its document. Whatever happens, state, metrics and ping tell of it."""
    unknown = sorted(set(classes) - set(CLASSES))
    if unknown:
        raise IntactError("there is no class %s: known are %s" % (unknown[0], ", ".join(CLASSES)))
    system = system or System()
    restic = {entry["name"]: _restic.Restic(entry, job["program"], job["limits"]) for entry in job["repositories"]}

    def record(klass, repository, entry):
        # read anew each time: checks and proofs are noted by others
        state = _state.load(os.path.join(home, "state.json"), job["host"])
        _state.record(state, repository, klass, **entry)
        _state.save(state, os.path.join(home, "state.json"))

    document = None
    try:
        document = _run.Run(job, system, restic, record, home=home).go(classes)
        return document
    except _run.Busy:
        document = {"status": "busy"}
        raise
    finally:
        if (document or {}).get("status") != "busy":
            tell(job, system, document, home)


def judged(job, system, home=HOME, now=None):
    """(state, findings about age and failures, classes in use)."""
    state, classes = _state.load(os.path.join(home, "state.json"), job["host"]), in_use(job, system)
    return state, _state.judge(state, job, classes, now or datetime.datetime.now(datetime.timezone.utc)), classes


def tell(job, system, document, home=HOME):
    """Metrics and ping. What they can't say is said in the run's own document."""
    now = datetime.datetime.now(datetime.timezone.utc)
    state, findings, classes = judged(job, system, home, now)
    unheard = _metrics.write(job["metrics_file"], _metrics.render(state, classes, findings, now)) if job["metrics_file"] else []
    if job["ping_url_file"]:
        status = (document or {}).get("status", "failed")
        unheard += _metrics.ping(job["ping_url_file"], status == "ok", "%s: %s" % (job["host"], status))
    if document is not None:
        document["unheard"] = [finding.as_dict() for finding in unheard]


def lines(document, host):
    """What a person or the journal reads of a run."""
    out = ["%s: backup %s: %s" % (host, document["run"], document["status"])]
    for klass, done in document["done"].items():
        for repository, entry in done.items():
            counts = ", ".join("%d %s" % (number, what) for what, number in sorted((entry.get("counts") or {}).items()))
            out.append("  %-10s %-12s %-8s %s" % (klass, repository, entry["result"], counts))
    return out


def _say(texts, to=None):
    out = to or sys.stdout
    out.write("\n".join(texts) + "\n")
    out.flush()


def _stop(*_signal):
    raise SystemExit(143)


def _run_command(words):
    job = read_job()
    classes = [] if words in ([], ["all"]) else words
    document = backup(job, classes)
    _say(lines(document, job["host"]))
    verdict = {"go": document["status"] == "ok", "counts": document["counts"], "findings": document["findings"]}
    if document["findings"]:
        _say(table(verdict, job["host"], "backup"))
    return CODES[document["status"]]


def _state_command(_words):
    job = read_job()
    state, findings, classes = judged(job, System())
    verdict = gate(findings, job["waivers"])
    _say([json.dumps({"state": state, "classes": classes, "findings": verdict["findings"]}, indent=1, sort_keys=True)])
    return 0 if verdict["go"] else 1


COMMANDS = {"run": _run_command, "state": _state_command}


def main(argv):
    """The program."""
    if not argv or argv[0] not in COMMANDS:
        _say(["usage: run [all | class ...] | state"], sys.stderr)
        return 64
    # hundreds of thousands of small objects and no cycles among them: looking for those costs more than it frees
    gc.disable()
    # a stop is an interruption: restic is ended, nothing torn is kept, and the run says so
    signal.signal(signal.SIGTERM, _stop)
    try:
        return COMMANDS[argv[0]](argv[1:])
    except _run.Busy as exc:
        _say([str(exc)], sys.stderr)
        return BUSY
    except IntactError as exc:
        _say([str(exc)], sys.stderr)
        return CODES["failed"]
    except Exception:  # pylint: disable=broad-except  # Python's own exit code for it is the one that says "there are findings"
        traceback.print_exc()
        return CODES["failed"]
