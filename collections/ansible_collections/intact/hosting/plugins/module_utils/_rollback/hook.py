# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Driver hook: the operator's own programs take, go back to and drop a snapshot, for example a hypervisor's. They are told the exact name."""

from __future__ import annotations

import contextlib
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._command import which
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._rollback._place import check_name, finding

NAME = "hook"
FILLS = False
# A system that was set back finds itself in the middle of taking the snapshot.
WAKES_INSIDE = True
NEEDED = ("take", "there", "back", "drop")
MARK = "{name}"
SECONDS = 900
# Of what a program said, so much is told; the rest may hold anything.
LINES = 3
LONGEST_LINE = 200
SECRET = re.compile(
    r"(?i)((?:pass(?:word|wd)?|token|secret|key|authorization|credential)s?[\"']?\s*[=:]\s*(?:bearer\s+|basic\s+)?)\S+|(\w+://[^:/@\s]+:)[^@\s]+(?=@)"
)


def wrong(hook):
    """What is wrong with the setting, or "". Pure."""
    for word in NEEDED:
        argv = hook.get(word)
        if not isinstance(argv, list) or not argv or not all(isinstance(part, str) and part for part in argv):
            return "%s is no list of a program and its arguments" % word
        if not os.path.isabs(argv[0]):
            return "%s: %s is no absolute path" % (word, argv[0])
        if not any(MARK in part for part in argv[1:]):
            return "%s has no argument with %s: a program that is not told the exact name could mean another snapshot" % (word, MARK)
    return ""


def decide(place, flight, settings):
    """The facts that are remembered before anything is made."""
    hook = settings.get("hook") or {}
    why = wrong(hook)
    if why:
        raise IntactError("the rollback's hook can't be used: %s" % why)
    return {"driver": NAME, "name": check_name(flight), "hook": {word: hook[word] for word in NEEDED}, "seconds": int(hook.get("seconds") or SECONDS)}


def check(place, settings):
    """Findings before take-off. The question whether there is a snapshot is really asked: it must be answered with no."""
    try:
        facts = decide(place, "check-before-take-off", settings)
    except IntactError as exc:
        return [finding("impossible", "blocker", NAME, "the operator's programs can't be used", str(exc), "give take, there, back and drop as argument lists")]
    found = []
    for word in NEEDED:
        program = facts["hook"][word][0]
        if which(program) is None:
            found.append(finding("hook.missing", "blocker", program, "the program for %s is not there, or can't be run" % word, "", "install it on the host"))
            continue
        status = os.stat(program)
        if status.st_uid not in (0, os.geteuid()) or status.st_mode & 0o022:
            why = "owner %d, mode %o" % (status.st_uid, status.st_mode & 0o7777)
            found.append(finding("hook.open", "blocker", program, "others than root can change this program", why, "chown root and chmod go-w it"))
    if not found:
        try:
            if _there(place, facts):
                said = "it answered that %s is there, which nobody made" % facts["name"]
                found.append(finding("hook.yes", "blocker", "there", "the question for a snapshot is answered with yes", said, "let it end with 1 for no"))
        except IntactError as exc:
            found.append(finding("hook.there", "blocker", "there", "the question for a snapshot can't be answered", str(exc), "let it end with 0 or 1"))
    if not found:
        words = "the snapshot must be without the machine's memory; what is saved of later mail and data goes by the controller"
        found.append(finding("hook.usable", "info", NAME, "the operator's programs answer", words))
    return found


def hidden(text):
    """A program's words without what looks like a secret: last lines, joined. Pure."""
    lines = [SECRET.sub(lambda m: (m.group(1) or m.group(2)) + "***", line.strip())[:LONGEST_LINE] for line in text.splitlines() if line.strip()]
    return "; ".join(lines[-LINES:])


def _call(place, facts, word, good=(0,)):
    """Run one of the programs; its exit status. Raises IntactError with its words for another status than the good ones."""
    argv = [part.replace(MARK, facts["name"]) for part in facts["hook"][word]]
    done = place.run(argv, timeout=facts["seconds"], check=False)
    if done.rc not in good:
        said = hidden(done.err.decode("utf-8", "replace") or done.out.decode("utf-8", "replace"))
        raise IntactError("the hook for %s (%s) ended with status %d: %s" % (word, argv[0], done.rc, said or "no word"))
    return done.rc


def _there(place, facts):
    return _call(place, facts, "there", (0, 1)) == 0


def take(place, facts):
    """Let it be made. One of this name stops: who woke up inside of it must not take off again."""
    if _there(place, facts):
        raise IntactError(
            "the snapshot %s is there already: either power was cut while it was made, or the host was set back to it. "
            "Drop it and start again for the first, roll-back-host.yml for the second" % facts["name"]
        )
    _call(place, facts, "take")
    if not _there(place, facts):
        raise IntactError("the hook for take ended well, and the snapshot %s is not there" % facts["name"])


def state(place, facts):
    """{whole, why, back, percent, room}; room None: nothing can be written into it."""
    there = _there(place, facts)
    return {"whole": there, "why": "" if there else "the hook says that %s is not there" % facts["name"], "back": False, "percent": 0.0, "room": None}


def drop(place, facts):
    """Let it be removed, and look that it is."""
    if not _there(place, facts):
        return ""
    _call(place, facts, "drop")
    if _there(place, facts):
        raise IntactError("the hook for drop ended well, and the snapshot %s is still there" % facts["name"])
    return "snapshot %s removed" % facts["name"]


@contextlib.contextmanager
def opened(place, facts):
    """None: what it holds can't be reached from the host."""
    yield None


def prepare(place, facts, tree):
    """Nothing."""


def boot_back(place, facts):
    """Let the host be set back. Often nothing follows: the machine that asked is gone."""
    if not _there(place, facts):
        raise IntactError("the hook says that %s is not there: nothing to go back to" % facts["name"])
    place.run(["sync"])
    _call(place, facts, "back")


def settle(place, facts, patience=0):
    """Nothing: it is as it was."""
    return [], ""
