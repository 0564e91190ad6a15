# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Class mail: the mail stores that the mail server really uses, filters and subscriptions, and the queue."""

from __future__ import annotations

import posixpath

from ansible_collections.intact.hosting.plugins.module_utils._backup import _eyes
from ansible_collections.intact.hosting.plugins.module_utils._backup.files import TREES
from ansible_collections.intact.hosting.plugins.module_utils._baseline import mail, queue
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NAME = "mail"
EXPECTED = "mailboxes"
PROGRAMS = ("postconf", "doveadm", "exim4", "exim", "sendmail")
# Filters and forwarding beside a mailbox of a user who has an account: small, so both this class and the class files have them.
BESIDE = (".dovecot.sieve", "sieve", ".forward", ".procmailrc", ".vacation.msg", ".vacationrc", ".mailfilter")
QUEUES = tuple("/var/spool/postfix/" + name for name in ("active", "bounce", "corrupt", "defer", "deferred", "hold", "incoming", "maildrop")) + (
    "/var/spool/exim4/input",
    "/var/spool/exim4/msglog",
)
SHARED = ("/var/lib/dovecot/sieve", "/var/lib/sieve", "/etc/dovecot/sieve", "/var/lib/vmail")
# Only a Maildir's indexes can be made again from the messages; dbox keeps the flags in them.
INDEXES = {"patterns": ["dovecot.index", "dovecot.index.*", "dovecot.list.index", "dovecot.list.index.*"], "reason": "Dovecot makes its indexes again"}
CACHES = {"patterns": ["dovecot.index.cache", "dovecot-uidlist.lock", "dovecot.index.log.lock"], "reason": "Dovecot makes its caches again"}


def in_use(system):
    """Whether a mail server is installed."""
    return any(system.which(program) for program in PROGRAMS)


def stores(system, known):
    """{path: what it is} of the places that hold messages, which no other class needs to take. known: as the mail server says."""
    homes = {line.split(":")[5] for line in system.text("/etc/passwd").splitlines() if line.count(":") == 6}
    found, virtual = {}, []
    for user, (inbox, other, home) in sorted(known.items()):
        root = posixpath.dirname(other)
        if home not in homes and home not in ("", "/"):
            virtual.append(home)  # a mailbox without an account: all of its home is mail
            continue
        if system.exists(inbox):
            found[inbox] = "mailbox %s" % user
        if root != home and system.exists(root):
            found[root] = "mailbox %s" % user
    for home in _together(virtual):
        if system.exists(home):
            found[home] = "mailboxes without an account"
    return found


def _together(homes):
    """One directory for many homes where they share one that holds nothing else: restic is not given a thousand paths."""
    if len(homes) < 2:
        return homes
    top = posixpath.commonpath(homes)
    shared = top.count("/") < 2 or any(tree == top or tree.startswith(top + "/") for tree in TREES) or top in ("/var/mail", "/var/spool")
    return homes if shared else [top]


def _known(system):
    """{user: (inbox, path of a folder called PROBE, home)}, {} when the mail server can't say: then that is told."""
    try:
        return mail._places(system)
    except IntactError as exc:
        system.skip("section mail", str(exc))
        return {}


def taken(system, options):
    """[{path, class}]: what the class files leaves to this one."""
    return [] if options.get("paths") else [{"path": path, "class": NAME} for path in sorted(stores(system, _known(system)))]


def paths(system, options):
    """Stores, what lies beside them, shared filters, the queue, and what the operator adds."""
    more = list(options.get("more_paths") or [])
    if options.get("paths"):
        return _eyes.there(system, list(options["paths"]) + more)
    known = _known(system)
    homes = sorted({home for _inbox, _other, home in known.values()} - {"", "/"})
    beside = [home + "/" + name for home in homes for name in BESIDE]
    return _eyes.there(system, sorted(stores(system, known)) + beside + list(SHARED) + list(QUEUES) + more)


def excluded(options):
    """Indexes that are made again. Option dbox: a store keeps flags in its indexes, so that they are mail."""
    return [CACHES if options.get("dbox") else INDEXES] + list(options.get("exclude") or [])


def refine(system, options):
    """Options with what only a look tells."""
    return dict(options, dbox=bool(options.get("dbox")) or any(system.exists(inbox + "/dbox-Mails") for inbox, _other, _home in _known(system).values()))


def sections(system, options):
    """Every file of the stores; every mailbox with its folders and messages; the queue. Ports are not asked: they tell nothing of what is backed up."""
    rules = options.get("rules", excluded(options))
    return {
        "files": _eyes.tree(system, paths(system, options), rules, options.get("cache")),
        "mail": _eyes.look(system, mail, {"ports": [], "messages_listed": options.get("messages_listed", 50000), "content_bytes": 2**60}),
        "queue": _eyes.look(system, queue),
    }


def counts(sections):
    """Files, mailboxes, folders, messages, messages in the queue."""
    out = _eyes.count_files(sections.get("files", {}))
    summary = sections.get("mail", {}).get("summary") or {}
    out.update({name: int(summary.get(name, 0)) for name in ("mailboxes", "folders", "messages")})
    out["queued"] = len(sections.get("queue", {}).get("items", {}))
    return out


def objects(sections):
    """{mailbox: messages}."""
    items = sections.get("mail", {}).get("items", {})
    return {
        "mailbox " + name: sum(folder["messages"] or 0 for folder in item["folders"].values()) for name, item in items.items() if item.get("kind") == "mailbox"
    }
