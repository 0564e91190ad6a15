# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Phase accounts: people and groups of the old disk on this host, by the identity map. Homes, owners and mail spools are made by the phase files."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._backup import _identity as _writing
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _accounts_plan, _identity, _identity_files, _quotas, _sudoers

PHASE = "accounts"


def run(context, check=False):
    """The phase's document. Idempotent: names that are there stay as they are. check: write nothing.

    Raises IntactError when files can't be read, or when what was written is not what is there.
    """
    started = _flight.now()
    identity = context.identity()
    etc = etc_of(context.system)
    old, new = _sides(context, etc)
    planned = _accounts_plan.plan(identity, old, new, lambda path: _runs(context.system, path))
    made, findings, explained = planned["made"], planned["findings"], planned["explained"]
    counts = dict(planned["counts"], findings=0)
    changed = _changes(made, new)
    if changed and not check:
        _ready(etc)
        context.tell("accounts: %d to create, %d groups" % (counts["created"], counts["groups"]))
        _writing.apply(made, etc, os.path.join(etc, ".pwd.lock"))
        _proved(context, made)
    quotas = _quotas.run(context, identity, old, check)
    sudoers = _sudoers.run(context)
    for part in (quotas, sudoers):
        findings += part["findings"]
        explained += part["explained"]
        counts.update(part["counts"])
    counts["findings"] = len(findings)
    return {
        "phase": PHASE,
        "status": "done",
        "started": started,
        "finished": _flight.now(),
        "counts": counts,
        "findings": findings,
        "explained": explained,
        "changed": bool(changed or quotas["changed"]),
        "sudoers": sudoers["rules"],
        "quotas": quotas["quotas"],
    }


def etc_of(system):
    """The directory of the live system's account files, as this process sees it."""
    return os.path.join(os.fsdecode(system.root), "etc")


def _sides(context, etc):
    try:
        return _identity_files.read(context.old), _identity.read_new(context.system)
    except PermissionError as exc:
        raise IntactError("the accounts can't be read (%s): run as root" % exc, path=etc) from exc


def _runs(system, path):
    """Whether a path is a program of the host."""
    if not path.startswith("/"):
        return False
    entry = system.lstat(system.realpath(path))
    return entry is not None and (entry.st_mode & 0o170000) == 0o100000 and bool(entry.st_mode & 0o111)


def _changes(made, new):
    """Whether a plan writes anything that is not there."""
    there = {"passwd": new["users"], "shadow": {n for n, u in new["users"].items() if u["shadowed"]}, "group": new["groups"], "gshadow": new["groups"]}
    return bool(made["members"] or made["replace"]["shadow"] or any(row.split(":", 1)[0] not in there[kind] for kind in there for row in made["rows"][kind]))


def _ready(etc):
    lacking = [kind for kind in _identity_files.FILES if not os.path.isfile(os.path.join(etc, kind))]
    if lacking:
        raise IntactError("%s has no %s: pwconv and grpconv make them, then run the phase again" % (etc, " and ".join(lacking)), lacking=lacking)


def _proved(context, made):
    """Look again: every line that was to be written is in the files, once."""
    for kind, rows in made["rows"].items():
        lines = context.system.text("/etc/" + kind).split("\n")
        for row in rows:
            name = row.split(":", 1)[0]
            found = sum(line.startswith(name + ":") for line in lines)
            if found != 1:
                raise IntactError(
                    "/etc/%s has %d lines of %s after it was written: does another tool write it too? Look, then run the phase again" % (kind, found, name)
                )
