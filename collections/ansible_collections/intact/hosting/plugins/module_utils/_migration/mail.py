# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Phase mail: old mailboxes into the live Dovecot, aliases into the live Postfix, queues and filters to where an operator decides about them.

mbox files and Maildirs are imported by Dovecot's own doveadm wherever the live mailbox lacks messages. A Maildir that phase files has already put where the
live Dovecot looks for it lacks nothing, so nothing is imported there; only what Courier numbered is given to Dovecot before it looks (else POP3 clients
would load everything again). Settings: dovecot_config, postfix_config (paths, "" for the system's own), mail_stores (roots of virtual mailboxes), requeue
(send what waited, default false), vacation (apply converted vacation messages, default false).
"""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import (
    _mail_aliases,
    _mail_courier,
    _mail_filters,
    _mail_import,
    _mail_live,
    _mail_old,
    _mail_queue,
)

PHASE = "mail"


def finding(name, severity, subject, title, evidence="", remedy="", **details):
    """A finding of this phase as plain data."""
    return Finding("migration.mail." + name, severity, subject, title, evidence, remedy, details=details).as_dict()


class Run:
    """One run: what it says is gathered here."""

    def __init__(self, context, check):
        self.context, self.check = context, check
        self.directory = os.path.join(context.directory, PHASE + ".d")
        self.counts, self.findings, self.explained = {}, [], []
        if not check:
            os.makedirs(self.directory, mode=0o700, exist_ok=True)

    def count(self, name, number):
        """Add to a counter."""
        self.counts[name] = self.counts.get(name, 0) + number

    def find(self, *args, **more):
        """Add a finding."""
        self.findings.append(finding(*args, **more))

    def explain(self, klass, subject, reason):
        """Add a line for the reconciliation."""
        self.explained.append({"class": klass, "subject": subject, "reason": reason})


def run(context, check=False):
    """The phase's document. Resumable and idempotent; in check mode nothing is written and the counts are what would be done."""
    started, this = _flight.now(), Run(context, check)
    _mailboxes(this)
    _aliases(this)
    _filters(this)
    _queues(this)
    bad = any(entry["severity"] == "blocker" for entry in this.findings)
    return {
        "phase": PHASE,
        "status": "failed" if bad else "done",
        "started": started,
        "finished": _flight.now(),
        "counts": this.counts,
        "findings": this.findings,
        "explained": this.explained,
        "changed": bool(
            this.counts.get("messages imported") or this.counts.get("aliases added") or this.counts.get("requeued") or this.counts.get("subscriptions")
        ),
    }


def users(context):
    """({user on the new host: [Store]}, strange): stores by the name that the identity map gives their owner."""
    stores, strange = _mail_old.stores(context)
    try:
        told = context.identity()
    except IntactError:
        told = {}
    people = told.get("users", {}) if isinstance(told, dict) else getattr(told, "users", {}) or {}
    out = {}
    for store in stores:
        entry = people.get(store.user) or {}
        out.setdefault((isinstance(entry, dict) and entry.get("name")) or store.user, []).append(store)
    return out, strange


def _mailboxes(this):
    context, live = this.context, _mail_live.Live(this.context.system, this.context.settings.get("dovecot_config") or "")
    found, strange = users(context)
    for subject, why in strange:
        this.find("store.unread", "warning", subject, "is mail that was not brought", why, "bring it by hand, or waive this")
        this.explain("mailboxes", subject, why)
    this.counts.update({"mailboxes": len(found), "messages": 0, "messages imported": 0})
    if found and not live.there():
        this.find(
            "dovecot.missing", "blocker", "dovecot", "there is mail, and no Dovecot here", "%d mailboxes" % len(found), "install dovecot-imapd and run again"
        )
        return
    for user, stores in sorted(found.items()):
        try:
            _mailbox(this, live, user, stores)
        except IntactError as exc:
            this.find(
                "mailbox.failed", "blocker", escape(user), "its mail was not brought", str(exc), "mend it and run the phase again: it goes on where it was"
            )


def _mailbox(this, live, user, stores):
    context, told = this.context, escape(user)
    before = _mail_import.state(this.directory, user)
    source = _mail_import.source_of(context, stores)
    if before.get("status") == "done" and before.get("source") == source:
        # what the user deleted since stays deleted
        result, before = dict(before, staged=0, subscribed=0), None
    else:
        owner = live.user(user)
        if owner is None:
            evidence = ", ".join(store.name for store in stores)
            this.find(
                "user.unknown", "blocker", told, "has old mail, and the live Dovecot knows no such user", evidence, "make the account or map it, then run again"
            )
            return
        if not this.check:
            this.count("folders numbered as Courier did", _mail_courier.convert(owner["home"]))
        context.tell("mail of %s: %s" % (told, ", ".join(store.name for store in stores)))
        result = _mail_import.carry(context, user, live, stores, this.directory, this.check)
    this.count("messages imported", result["staged"])
    this.count("subscriptions", result.get("subscribed") or 0)
    for old, new in sorted(result["renamed"].items()):
        this.find("folder.renamed", "info", "%s/%s" % (told, old), "is called %s here" % escape(new), "the live server's separator or names do not allow it")
    for folder, why in result["oddities"].items():
        this.find("folder.odd", "warning", "%s/%s" % (told, folder), "could not be read in full", "; ".join(why), "look at the file on the old disk")
    for folder, seen in sorted(result["folders"].items()):
        _folder(this, told, folder, seen)


def _folder(this, user, folder, seen):
    subject = "%s/%s" % (user, folder)
    this.count("messages", seen["old"])
    this.count("folders", 1)
    if this.check:
        return
    if seen["missing"]:
        evidence = "%d of %d are missing" % (seen["missing"], seen["old"])
        this.find("messages.missing", "blocker", subject, "messages did not arrive", evidence, "run the phase again; compare the folder with the old file")
    if seen["doubled"]:
        this.find("messages.doubled", "warning", subject, "messages are there more than once", "%d" % seen["doubled"], "doveadm deduplicate, after a look")
    if seen["flags"] and not seen["missing"]:
        this.find("flags.differ", "info", subject, "flags differ", "of %d messages" % seen["flags"])
    if seen["numbered"] and (seen["uids"] < seen["numbered"] or not seen["validity"]):
        why = "%d of %d UIDs kept, UIDVALIDITY %s" % (seen["uids"], seen["numbered"], "kept" if seen["validity"] else "new")
        this.find("uids.new", "info", subject, "clients load this folder again", why, "nothing: it happens once")
    this.count("uids kept", seen["uids"])


def _aliases(this):
    context = this.context
    told, postfix = _mail_aliases.old(context), _mail_aliases.Postfix(context.system, context.settings.get("postfix_config") or "")
    total = sum(len(names) for names in told.values())
    this.counts.update({"aliases": total, "aliases added": 0})
    if total and not postfix.there():
        this.find(
            "postfix.missing",
            "blocker",
            "postfix",
            "there are aliases, and no Postfix here",
            "%d" % total,
            "install postfix, or bring them by hand and waive this",
        )
        return
    for kind, names in sorted(told.items()):
        if not names:
            continue
        result = _mail_aliases.merge(postfix, kind, names, os.path.basename(context.directory), this.check)
        if not result["table"]:
            value = "virtual_alias_maps" if kind == "virtual" else "alias_maps"
            this.find("aliases.table", "blocker", value, "%d %s aliases have no table here" % (len(names), kind), "", "set %s in main.cf and run again" % value)
            continue
        this.count("aliases added", len(result["add"]) if result["changed"] else 0)
        for name, (old, new) in result["conflicts"].items():
            title = "goes elsewhere on the new host: kept as it is here"
            this.find(
                "alias.conflict",
                "warning",
                escape(name),
                title,
                "old %s, here %s" % (escape(", ".join(old)), escape(", ".join(new))),
                "decide which one is right",
            )
            this.explain("aliases", "%s %s" % (kind, escape(name)), "the new host had this name already and keeps its target")
        for name, targets in result["unsafe"].items():
            shown = ", ".join("%s %s" % (word, escape(target)) for word, target in targets)
            this.find(
                "alias.unsafe",
                "warning",
                escape(name),
                "runs a program, writes a file or includes one: not brought",
                shown,
                "bring it by hand if it is still wanted",
            )
            this.explain("aliases", "%s %s" % (kind, escape(name)), "it would run a program, write a file or include one: %s" % shown)
        for name in result["lost"]:
            this.find(
                "alias.lost", "blocker", escape(name), "Postfix does not find it in %s" % result["table"], "", "run postalias or postmap and look at its words"
            )


def _filters(this):
    context, config = this.context, this.context.settings.get("dovecot_config") or ""
    for user, found in sorted(_mail_filters.look(context).items()):
        this.count("users with filters", 1)
        told = escape(user)
        for target in found["forward"]:
            if _mail_aliases.kind_of(target) != "address":
                this.find(
                    "forward.unsafe",
                    "warning",
                    told,
                    "~/.forward runs a program or writes a file",
                    escape(target),
                    "look whether that program is here; else empty the file",
                )
        for name in found["others"]:
            this.find(
                "filter.unchecked",
                "warning",
                told,
                "%s is a filter that Dovecot does not read" % name,
                "",
                "procmail or maildrop must deliver here, or turn it into sieve",
            )
        if this.check:
            continue
        for name, data in sorted(found["sieve"].items()):
            said = _mail_filters.checked(data, this.directory, config)
            if said is None:
                this.find("sieve.unchecked", "warning", told, "%s is there, and no Pigeonhole" % escape(name), "", "install dovecot-sieve and run again")
            elif said:
                this.find("sieve.invalid", "warning", told, "%s is refused by this Pigeonhole" % escape(name), said, "mend the script with its owner")
            else:
                this.count("sieve scripts checked", 1)
        script = _mail_filters.vacation(found)
        if script:
            _vacation(this, user, script, config)


def _vacation(this, user, script, config):
    said = _mail_filters.checked(script, this.directory, config)
    where = os.path.join(this.directory, "vacation")
    os.makedirs(where, mode=0o700, exist_ok=True)
    path = os.path.join(where, escape(user).replace("/", "_") + ".sieve")
    with open(path, "wb") as handle:
        handle.write(script)
    live = _mail_live.Live(this.context.system, config)
    if said == "" and this.context.settings.get("vacation"):
        listed = live.doveadm("sieve", "list", "-u", user, check=False).text
        if not listed.strip():
            live.doveadm("sieve", "put", "-u", user, "-a", _mail_filters.SCRIPT, path)
            this.count("vacation messages applied", 1)
            return
        said = "the user has sieve scripts of their own"
    evidence = path if not said else "%s: %s" % (path, said)
    this.find(
        "vacation.waits",
        "info",
        escape(user),
        "had a vacation message: it waits as a sieve script",
        evidence,
        "doveadm sieve put -u USER -a NAME FILE, if it still holds",
    )


def _queues(this):
    context = this.context
    waiting = _mail_queue.waiting(context)
    this.count("queued", len(waiting))
    sent, odd = 0, []
    for entry in [] if this.check else waiting:
        told = _mail_queue.copy(context, entry, os.path.join(this.directory, "queue"))
        if "said" in told:
            odd.append("%s %s (%s)" % (entry["server"], entry["id"], told["said"]))
        elif context.settings.get("requeue") and told["recipients"]:
            sent += _mail_queue.requeue(context, entry, told, os.path.join(this.directory, "queue"), context.settings.get("postfix_config") or "")
    this.counts["requeued"] = sent
    if waiting:
        evidence = "%d messages; %d sent now; unread: %s" % (len(waiting), sent, escape("; ".join(odd[:10])) or "none")
        remedy = "look at %s/queue, and set requeue to send them" % this.directory
        this.find("queue.waiting", "warning", "queue", "messages waited in the old queue", evidence, remedy)
