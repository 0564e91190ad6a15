# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Phase lists: Mailman 2's lists into the live Mailman 3 by its own import21, held against our own reading of the old pickles.

What is brought: settings, members, owners, moderators, bans, archives. What is told instead: held requests, passwords, what a list's name can't be.
Settings: mailman_roots (more places of Mailman 2), mailman_command, hyperkitty_command (first words of the live programs), private_archives (bring private
archives into HyperKitty, which shows them to everybody while they come in; default false).
"""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_document, write_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _lists_archive, _lists_live, _lists_old

PHASE = "lists"
PEOPLE = ("members", "digest", "owners", "moderators")
# What import21 does in its own way, and why that is no loss.
KNOWN = {
    "bans": "Mailman 3 keeps what its own rules for patterns allow",
    "info": "line ends are made Mailman 3's",
    "moderated": "Mailman 3 has an action for each member in place of a bit",
}


class Run:
    """One run: what it says is gathered here."""

    def __init__(self, context, check):
        self.context, self.check = context, check
        self.directory = os.path.join(context.directory, PHASE + ".d")
        self.counts = {"lists": 0, "lists made": 0, "members": 0, "archived messages": 0, "requests waiting": 0}
        self.findings, self.explained = [], []
        self.live = _lists_live.Mailman(context.system, context.settings.get("mailman_command"))
        if not check:
            context.phase_directory(PHASE)

    def find(self, name, severity, subject, title, evidence="", remedy=""):
        """Add a finding."""
        self.findings.append(Finding("migration.lists." + name, severity, escape(subject), title, escape(evidence)[:2000], remedy).as_dict())

    def explain(self, subject, reason, attribute=""):
        """Add a line for the reconciliation."""
        line = {"class": "lists", "subject": escape(subject), "reason": reason}
        self.explained.append(dict(line, attribute=attribute) if attribute else line)

    def state(self, name, told=None):
        """What is known of a list from earlier runs; with told, that is written down first."""
        path = os.path.join(self.directory, "state", escape(name).replace("/", "_") + ".json")
        if told is not None:
            os.makedirs(os.path.dirname(path), mode=0o700, exist_ok=True)
            write_document(path, told)
            return told
        try:
            return read_document(path)
        except (OSError, ValueError):
            return {}


def run(context, check=False):
    """The phase's document. Resumable and idempotent; in check mode nothing is written."""
    started, this = _flight.now(), Run(context, check)
    found, strange = _lists_old.lists(context)
    for subject, why in strange:
        this.find("list.unread", "blocker", subject, "is a list that was not brought", why, "bring it by hand and waive this")
    real = [entry for entry in found if entry["name"].lower() != _lists_old.SITE]
    if real and not this.live.there():
        this.find("mailman.missing", "blocker", "mailman3", "there are lists, and no Mailman 3 here", "%d lists" % len(real), "install mailman3 and run again")
        real = []
    for entry in found:
        if entry["name"].lower() == _lists_old.SITE:
            this.explain("mailman", "Mailman 2's own site list: Mailman 3 has none")
    for entry in real:
        context.tell("list %s" % escape(entry["name"]))
        try:
            _one(this, entry)
        except IntactError as exc:
            this.find("list.failed", "blocker", entry["name"], "the list was not brought", str(exc), "mend it and run the phase again: it goes on where it was")
    bad = any(entry["severity"] == "blocker" for entry in this.findings)
    return {
        "phase": PHASE,
        "status": "failed" if bad else "done",
        "started": started,
        "finished": _flight.now(),
        "counts": this.counts,
        "findings": this.findings,
        "explained": this.explained,
        "changed": bool(this.counts["lists made"] or this.counts.get("archives imported")),
    }


def _one(this, entry):
    told, note = _lists_old.config(this.context, entry)
    if note:
        this.find("pickle.last", "warning", entry["name"], "config.pck could not be read: the one before it was used", note, "compare its newest members")
    address = _lists_old.address(entry, told)
    want = _lists_old.wanted(told)
    this.counts["lists"] += 1
    this.counts["members"] += len(want["members"]) + len(want["digest"])
    waiting = _lists_old.waiting(this.context, entry)
    if waiting["requests"] or waiting["pending"] or waiting["damaged"]:
        this.counts["requests waiting"] += waiting["requests"]
        evidence = "%d held requests, %d pending confirmations %s" % (waiting["requests"], waiting["pending"], "; ".join(waiting["damaged"]))
        this.find(
            "requests.waiting",
            "warning",
            address,
            "Mailman 3 takes no held requests over",
            evidence,
            "decide them on the old disk's data, or ask for them again",
        )
    there = this.live.lists()
    before = this.state(address)
    if address in there and not before:
        this.find(
            "list.there",
            "warning",
            address,
            "is a list of the new host already: it was left alone",
            "",
            "compare its members; remove it, and run again, to import",
        )
    elif not this.check and before.get("status") != "done":
        _bring(this, address, told, address in there)
        there = this.live.lists()
    if not this.check and address in there:
        _compare(this, address, want, _lists_live.told_of(there[address]))
        if before.get("status") != "done" and this.state(address).get("made"):
            this.state(address, {"made": True, "status": "done"})
    _archive(this, entry, address, want)


def _bring(this, address, told, there):
    """Make the list, import. State comes first: what is there afterwards is known to be ours."""
    this.state(address, {"made": True, "status": "making"})
    if not there:
        try:
            this.live.create(address)
        except IntactError:
            os.unlink(os.path.join(this.directory, "state", escape(address).replace("/", "_") + ".json"))
            raise
        this.counts["lists made"] += 1
    try:
        with _lists_live.Stage(below=this.context.settings.get("mailman_stage")) as stage:
            said, changes = this.live.import21(address, told, stage)
    except IntactError:
        this.live.remove(address)
        this.state(address, {"made": True, "status": "removed"})
        raise
    this.state(address, {"made": True, "status": "imported"})
    for change in changes:
        this.find("language", "warning", address, change + ": English takes its place", "", "add it to mailman.cfg, then set it for the list")
        this.explain(address, change, "preferred_language")
    if said:
        this.find("import21.said", "info", address, "import21 had remarks", "; ".join(said))


def _compare(this, address, want, have):
    """Our reading of the old pickle against the live rows; what is missing is told by name."""
    for role in PEOPLE:
        lost = sorted(set(want[role]) - set(have.get(role, [])))
        if not lost:
            continue
        banned = [who for who in lost if who in want["bans"]]
        if len(banned) == len(lost):
            reason = "Mailman 3 takes no banned address: %s" % escape(", ".join(banned))
            this.find(
                "member.banned",
                "warning",
                address,
                "%s are banned and were not taken over" % role,
                ", ".join(banned),
                "lift the ban and add them, if they belong here",
            )
            for attribute in (role, "subscribers", "stopped", "moderated"):
                this.explain(address, reason, attribute)
            continue
        this.find(
            "people.missing",
            "blocker",
            address,
            "%d %s did not arrive" % (len(lost), role),
            ", ".join(lost[:20]),
            "add them with mailman addmembers, or look at their addresses",
        )
    for name in sorted(set(want) - set(PEOPLE)):
        wished = want[name]
        if name in ("stopped", "moderated"):
            # of people who are not there it was said already
            wished = [who for who in wished if who in have["members"] or who in have["digest"]]
        if name not in have or have[name] == wished:
            continue
        if name in KNOWN:
            this.explain(address, KNOWN[name], name)
            continue
        evidence = "old %r, here %r" % (want[name], have[name])
        this.find("setting.differs", "warning", address, "%s is not as it was" % name, evidence, "set it in Postorius or over REST")


def _archive(this, entry, address, want):
    found = _lists_old.archive(this.context, entry)
    if found is None:
        return
    this.counts["archived messages"] += found["messages"]
    if found["oddities"]:
        this.find("archive.odd", "warning", address, "the archive's mbox is not clean", "; ".join(found["oddities"]), "run Mailman 2's cleanarch on a copy")
    if this.check:
        return
    path = _lists_archive.keep(this.context, entry, found, this.directory)
    command = _lists_archive.hyperkitty(this.context)
    numbers = "%d messages, %d of them without Message-ID, in %s" % (found["messages"], found["without_id"], path)
    if command is None:
        this.find("archive.kept", "info", address, "there is no HyperKitty here: the archive is kept as an mbox", numbers)
        return
    if want["archive_policy"] == "1" and not this.context.settings.get("private_archives"):
        title = "a private archive was not put into HyperKitty, which shows it to everybody until it is in"
        this.find("archive.private", "warning", address, title, numbers, "close the web server, set private_archives, run again")
        return
    if _lists_archive.count(command, address) != found["ids"]:
        result = _lists_archive.bring(command, address, path)
        this.counts["archives imported"] = this.counts.get("archives imported", 0) + 1
        said = result.error.splitlines()[-1:] if result.rc else []
        there = _lists_archive.count(command, address)
        if there is None or there < found["ids"]:
            evidence = "%s of %d Message-IDs are there; %s %s" % (there, found["ids"], numbers, " ".join(said))
            this.find(
                "archive.short",
                "blocker",
                address,
                "HyperKitty has not taken all of the archive",
                evidence,
                "look at the messages that it names; the mbox is kept",
            )
