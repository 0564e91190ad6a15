# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The phases of a migration: their order, what each one needs, and what running one means (once, resumable, again when its inputs changed)."""

from __future__ import annotations

import hashlib
import json
import os
import traceback

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_if_exists, write_atomic, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _context

PACKAGE = "ansible_collections.intact.hosting.plugins.module_utils._migration."
# Ids and accounts come before what is owned by them; what somebody decides about (plan) and the last word come last.
ORDER = ("identity", "accounts", "files", "databases", "mail", "lists", "jobs", "plan", "reconcile")
NEEDS = {
    "identity": (),
    "accounts": ("identity",),
    "files": ("identity", "accounts"),
    "databases": (),
    "mail": ("identity", "accounts"),
    "lists": ("identity",),
    "jobs": ("identity", "accounts"),
    "plan": (),
    "reconcile": ("identity",),
}
# How long a start waits for one that is at work, in seconds.
WAIT = 86400
# The identity map is a module's result and reconciliation has a module of its own: these are run by migration_phase.
RUN = ORDER[1:-1]


def module(phase):
    """The file of a phase. Imported here, so that a phase is not held up by what another one needs."""
    # Ansible brings to a host what it finds in statements like these.
    try:
        if phase == "accounts":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import accounts as found  # noqa: PLC0415  (one that is broken costs only itself)
        elif phase == "files":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import files as found  # noqa: PLC0415  (one that is broken costs only itself)
        elif phase == "databases":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import databases as found  # noqa: PLC0415  (one that is broken costs only itself)
        elif phase == "mail":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import mail as found  # noqa: PLC0415  (one that is broken costs only itself)
        elif phase == "lists":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import lists as found  # noqa: PLC0415  (one that is broken costs only itself)
        elif phase == "jobs":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import jobs as found  # noqa: PLC0415  (one that is broken costs only itself)
        elif phase == "plan":
            from ansible_collections.intact.hosting.plugins.module_utils._migration import plan as found  # noqa: PLC0415  (one that is broken costs only itself)
        else:
            raise IntactError("there is no phase %s to run: known are %s" % (phase, ", ".join(RUN)))
    except ImportError as exc:
        raise IntactError("the phase %s can't be loaded (%s): this collection is not complete, install it again" % (phase, exc)) from exc
    return found


def inputs(context, phase):
    """A digest of what a phase depends on: the disk, its settings, and the results of the phases that it needs."""
    known = {"token": context.settings.get("token", ""), "settings": {k: v for k, v in context.settings.items() if k != "token"}}
    for name in NEEDS[phase]:
        known[name] = _made(context, name)
    return hashlib.sha256(json.dumps(known, sort_keys=True, default=str).encode("utf-8", "backslashreplace")).hexdigest()


def _made(context, phase):
    """What tells one result of a phase from another; the same work done again is the same."""
    if phase == "identity":
        return hashlib.sha256(read_if_exists(context.path(_context.MAP)) or b"").hexdigest()
    return context.document(phase)["inputs"]


def finished(context, phase):
    """Whether a phase is through; of the identity map its file tells."""
    return os.path.exists(context.path(_context.MAP)) if phase == "identity" else context.finished(phase)


def waits_for(context, phase):
    """Phases that have to run before this one."""
    return [name for name in NEEDS[phase] if not finished(context, name)]


def todo(context, phase, force=False):
    """What running a phase would be: nothing, start, continue (it was cut or failed), again (its inputs changed, or it was asked for)."""
    document = context.document(phase)
    if document["status"] == "done":
        return "again" if force or document["inputs"] != inputs(context, phase) else "nothing"
    return "continue" if document["status"] else "start"


def claim(context, token, write=True):
    """Write migration.json when the migration is new. Raises IntactError when it is another disk's: a migration never mixes two."""
    about = context.about()
    if about and about.get("token") != token:
        raise IntactError(
            "the migration %s is of the disk %s, not of %s: attach that one, or give this one a migration of its own"
            % (context.ident, about.get("token"), token),
            expected=about.get("token"),
            seen=token,
        )
    if write and (not about or about.get("root") != context.root):
        context.prepare()
        about = dict(about, id=context.ident, root=context.root, token=token, started=about.get("started") or _flight.now(), settings=context.settings)
        write_document(context.path(_context.ABOUT), about)


def run(context, phase, check=False, force=False):
    """{action, changed, document, waits_for}: run a phase once. Raises IntactError, with the document saying failed, when it can't be done.

    A phase that is done is not run again unless its inputs changed or with force; one that was cut goes on from what it kept in PHASE.d.
    """
    if phase not in RUN:
        module(phase)
    if check:
        return _foretold(context, phase, force)
    with context.locked(wait=WAIT):
        missing = waits_for(context, phase)
        if missing:
            raise IntactError("the phase %s needs %s first: run %s, then this one" % (phase, _named(context, missing), "it" if len(missing) == 1 else "them"))
        action = todo(context, phase, force)
        if action == "nothing":
            return {"action": action, "changed": False, "document": context.document(phase), "waits_for": []}
        found = module(phase)
        begun = dict(_context.fresh(phase), status="running", started=_flight.now(), inputs=inputs(context, phase), action=action)
        context.save(begun)
        context.tell("%s: %s" % (phase, {"start": "begins", "continue": "goes on where it was cut", "again": "runs again"}[action]))
        try:
            made = found.run(context, check=False) or {}
        except IntactError as exc:
            _failed(context, phase, begun, str(exc))
            raise
        except Exception as exc:  # pylint: disable=broad-except  # whatever a hostile disk makes of our parsers, the next run has to know where this one was
            said = exc.strerror if isinstance(exc, OSError) and exc.strerror else "%s: %s" % (type(exc).__name__, exc)
            told = "%s: %s" % (escape(str(exc.filename)), said) if isinstance(exc, OSError) and exc.filename else said
            trace = os.path.join(context.phase_directory(phase), "trace.txt")
            write_atomic(trace, traceback.format_exc().encode("utf-8", "backslashreplace"))
            _failed(context, phase, begun, told)
            raise IntactError("the phase %s was stopped by %s (%s has the details); mend that and run it again, it goes on" % (phase, told, trace)) from exc
        kept = {key: begun[key] for key in ("phase", "started", "inputs", "action")}
        status = "failed" if made.get("status") == "failed" else "done"
        document = context.save(dict(dict(_context.fresh(phase), **made), **dict(kept, status=status, finished=_flight.now())))
        context.tell("%s: %s, %s" % (phase, status, ", ".join("%s %s" % (v, k) for k, v in sorted(document["counts"].items())) or "nothing counted"))
        return {"action": action, "changed": True, "document": document, "waits_for": []}


def _named(context, phases):
    """Names of phases, with what stopped them."""
    out = []
    for name in phases:
        document = context.document(name) if name != "identity" else _context.fresh(name)
        first = next((f for f in document["findings"] if f.get("severity") == "blocker"), None)
        out.append("%s (%s: %s)" % (name, document["status"], "%s %s" % (first["subject"], first["title"])) if first else name)
    return " and ".join(out)


def _failed(context, phase, begun, why):
    """Leave word of a failure; the next run continues."""
    finding = Finding(
        "%s.failed" % phase,
        "blocker",
        phase,
        "the phase did not come to its end",
        evidence=why[:1000],
        remedy="mend what it says and run the phase again: it goes on where it was",
    )
    context.save(dict(begun, status="failed", finished=_flight.now(), findings=[finding]))
    context.tell("%s: failed: %s" % (phase, why))


def _foretold(context, phase, force):
    """What run() would do; nothing is written, not even a lock."""
    missing = waits_for(context, phase)
    action = todo(context, phase, force)
    if missing or action == "nothing":
        document = context.document(phase) if action == "nothing" else _context.fresh(phase)
        return {"action": action, "changed": action != "nothing", "document": document, "waits_for": missing}
    document = dict(_context.fresh(phase), **(module(phase).run(context, check=True) or {}))
    document["findings"] = [f.as_dict() if isinstance(f, Finding) else f for f in document["findings"]]
    return {"action": action, "changed": True, "document": document, "waits_for": []}
