# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The program that exports on schedule, started by systemd or by hand: `run`. Its output is what the journal has of it.

Exit 0: ok; 1: there are findings that nobody answers for; 2: failed; 75: busy.
"""

from __future__ import annotations

import datetime
import os
import signal
import sys
import traceback

from ansible_collections.intact.hosting.plugins.module_utils._files import read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError, gate, table
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _run, _state
from ansible_collections.intact.hosting.plugins.module_utils._panels._registry import chosen
from ansible_collections.intact.hosting.plugins.module_utils._system import System

JOB = "/etc/intact/panel/job.json"
SCHEMA = 1
# What a job says; the settings of an export have their own defaults.
DEFAULTS = {"schema": SCHEMA, "panels": [], "dir": _export.ROOT, "waivers": []}
SETTINGS = ("mode", "passphrase_file", "max_age_hours", "keep", "keep_unproven", "wait", "native", "scratch")
FINDINGS, FAILED, BUSY = 1, 2, 75  # the last is EX_TEMPFAIL


def check(job):
    """The job with all that it does not say; IntactError when it can't work."""
    unknown = sorted(set(job) - set(DEFAULTS) - set(SETTINGS))
    if unknown or job.get("schema", SCHEMA) != SCHEMA:
        raise IntactError("the job of exports names %s: it is of another version" % (", ".join(unknown) or "schema %s" % job.get("schema")))
    own = _run.Settings()
    out = dict(DEFAULTS, **{name: getattr(own, name) for name in SETTINGS})
    out.update(job)
    if out["mode"] not in _export.MODES or not os.path.isabs(out["dir"]):
        raise IntactError("an export's mode is none of %s, or its directory no whole path: %s, %s" % (", ".join(_export.MODES), out["mode"], out["dir"]))
    if out["keep"] < 1 or out["keep_unproven"] < 1:
        raise IntactError("keep is %d and keep_unproven %d: at least one export stays" % (out["keep"], out["keep_unproven"]))
    return out


def read_job(path=JOB):
    """The checked job of this host."""
    try:
        return check(read_document(path))
    except (OSError, ValueError) as exc:
        raise IntactError("the job %s can't be read (%s): run the role panel_export" % (path, exc)) from exc


def settings(job):
    """A job's _run.Settings."""
    return _run.Settings(root=job["dir"], **{name: job[name] for name in SETTINGS})


def export(job, system, say, now=None):
    """(exit status, lines that tell what came of it) of one run."""
    now, wanted = now or datetime.datetime.now(datetime.timezone.utc), settings(job)
    host, host_id = _state.host_of(system)
    outcomes = _run.carry_out(system, _run.plan(chosen(system, job["panels"]), wanted, host_id, now), wanted, say)
    lines = ["%s: panel %s: %s%s" % (host, outcome.panel, outcome.verdict, ", " + outcome.path if outcome.path else "") for outcome in outcomes]
    findings = [finding for outcome in outcomes for finding in outcome.findings]
    verdict = gate(findings, job["waivers"], now)
    busy = bool(findings) and all(finding.id == "panel.busy" for finding in findings if finding.severity == "blocker")
    return 0 if verdict["go"] else BUSY if busy else FINDINGS, lines + (table(verdict, host, "panel_export") if findings else [])


def _say(line, to=None):
    out = to or sys.stdout
    out.write(line + "\n")
    out.flush()


def _stop(*_signal):
    raise SystemExit(143)


def main(argv):
    """The program."""
    if argv != ["run"]:
        _say("usage: run", sys.stderr)
        return 64
    # a stop is an interruption: what was not finished is removed, and says so
    signal.signal(signal.SIGTERM, _stop)
    try:
        status, lines = export(read_job(), System(), _say)
        for line in lines:
            _say(line)
        return status
    except IntactError as exc:
        _say(str(exc), sys.stderr)
        return FAILED
    except Exception:  # pylint: disable=broad-except  # Python's own exit code for it is the one that says "there are findings"
        traceback.print_exc()
        return FAILED
