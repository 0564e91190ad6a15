# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Class certificates: those that the old system used against those that this host uses, else those of the plan."""

from __future__ import annotations

import datetime

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._migration import _plan_certificates
from ansible_collections.intact.hosting.plugins.module_utils._system import System

NAME = "certificates"
RULES = [
    {"change": "missing", "subject": "* (ran out *)", "reason": "it had run out before, so that nobody can miss it"},
    {"change": "missing", "subject": "* (unreadable)", "reason": "the old system named a file that is not there or is no certificate; it never served one"},
]


def _subject(path, entry):
    """A certificate by its file; what can't be missed is told by the name, so that a rule can say so."""
    if "certificate" not in entry:
        return "%s (unreadable)" % escape(path)
    past = entry["not_after"] < datetime.datetime.now(datetime.timezone.utc)
    return "%s (ran out %s)" % (escape(path), entry["not_after"].date()) if past else escape(path)


def _all(context):
    return _plan_certificates.used(context.old).items()


def old(context):
    """{file: {certificate (SHA-256), key (match, other, missing, encrypted, unknown)}}."""
    out = {}
    for path, entry in _all(context):
        here = "certificate" in entry
        state = _plan_certificates.key_of(context.old, entry)[0] if here else ""
        out[_subject(path, entry)] = {"certificate": entry["certificate"], "key": state} if here else {}
    return out


def new(context):
    """The same of the live host and of the plan, by the certificate itself: where it lies now is not asked."""
    have = {}
    live = _plan_certificates.used(context.system)
    for entry in live.values():
        if "certificate" in entry:
            have[entry["certificate"]] = _plan_certificates.key_of(context.system, entry)[0]
    if context.finished("plan"):
        here = System()
        for path in here.glob(context.path("plan.d", _plan_certificates.FOLDER, "*.crt")):
            entry = _plan_certificates.one(here, path)
            if entry and entry["certificate"] not in have:
                have[entry["certificate"]] = _plan_certificates.key_of(here, dict(entry, key_file=path[:-4] + ".key"))[0]
    return {
        _subject(path, entry): {"certificate": entry["certificate"], "key": have[entry["certificate"]]}
        for path, entry in _all(context)
        if entry.get("certificate") in have
    }
