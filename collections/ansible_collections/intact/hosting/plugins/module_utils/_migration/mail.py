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
    _mail_names,
    _mail_old,
    _mail_queue,
    _mail_users,
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
            context.phase_directory(PHASE)

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
    _mail_filters.bring(this)
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


def _mailboxes(this):
    context, live = this.context, _mail_live.Live(this.context.system, this.context.settings.get("dovecot_config") or "")
    found, strange = _mail_users.users(context)
    for subject, why in strange:
        this.find("store.unread", "warning", subject, "is mail that was not brought", why, "bring it by hand, or waive this")
        if not _mail_old.lost(subject):
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
        except (IntactError, OSError) as exc:
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
        if owner["uid"] < live.first():
            _system(this, told, stores)
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


def _system(this, user, stores):
    """Dovecot gives no mailbox to a system account: its old mail is copied for the operator."""
    for store in stores:
        found = 0
        for components in sorted(store.folders):
            found += len(_mail_old.read(this.context, store, components)["messages"])
            reason = "%s is a system account, for which Dovecot serves no mailbox: kept as files" % user
            this.explain("mailboxes", "%s/%s" % (user, _mail_names.shown(components)), reason)
        if not this.check:
            _mail_users.keep(this.context, store, os.path.join(this.directory, "system"))
        this.count("messages of system accounts", found)
        remedy = "read it there; an alias brings new mail to a person"
        this.find(
            "user.system",
            "warning",
            user,
            "is a system account: its mail is kept as files",
            "%d messages of %s in %s/system" % (found, store.name, this.directory),
            remedy,
        )


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
        this.find("uids.new", "info", subject, "messages have new numbers: clients load those again", why, "nothing: it happens once")
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
        mailman = [name for name, targets in result["unsafe"].items() if _mail_aliases.of_mailman(targets)]
        for name in mailman:
            this.explain("aliases", "%s %s" % (kind, escape(name)), "it gave mail to Mailman 2; Mailman 3 is given its lists' mail by LMTP")
        if mailman:
            evidence = escape(", ".join(mailman[:20]))
            this.find("alias.mailman", "info", kind, "%d aliases of Mailman 2 were not brought: Mailman 3 needs none" % len(mailman), evidence)
        for name, targets in result["unsafe"].items():
            if name in mailman:
                continue
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
