# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Mail stores of an old disk: whose they are, of which kind, and every message in them by our own parsers."""

from __future__ import annotations

import posixpath
import re
import stat

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._migration import _mail_disk, _maildir, _mbox

SPOOLS = ("/var/mail", "/var/spool/mail")
VIRTUAL = ("/var/vmail", "/var/spool/vmail", "/home/vmail", "/srv/vmail", "/var/lib/vmail", "/var/mail/vhosts")
# Where old servers keep folders below a home.
MBOX_TREES = ("mail", "Mail")
MAILDIRS = ("Maildir", ".maildir")
NOT_MAIL = (b".lock", b".cache", b".log", b".index", b".sieve", b".svbin")
FOREIGN = ((b"*mbx*", "UW IMAP's mbx"), (b"*mix*", "UW IMAP's mix"))


class Store:
    """One place with mail of one user. user: name at login; kind: mbox | maildir; path: a directory of the old disk as it was called there.

    folders: {components: file or directory below path (bytes)}; () is INBOX. subscribed: [components].
    """

    def __init__(self, user, kind, path, folders, subscribed=()):
        self.user, self.kind, self.path = user, kind, path
        self.folders, self.subscribed = folders, list(subscribed)

    @property
    def name(self):
        """How the store is told to people."""
        return "%s %s" % (self.kind, escape(self.path))


def lost(subject):
    """Whether a strange thing is an account's mail that no other phase carries: what lies below homes comes with the files."""
    return subject.startswith(tuple(spool + "/" for spool in SPOOLS))


def accounts(context):
    """{name: home} of the old passwd."""
    out = {}
    for line in context.old.text("/etc/passwd").splitlines():
        fields = line.split(":")
        if len(fields) == 7 and fields[0] and fields[5].startswith("/"):
            out.setdefault(fields[0], posixpath.normpath(fields[5]))
    return out


def stores(context):
    """([Store], [(subject, sentence)] of what is mail and is not read by us). Setting mail_stores: more roots of virtual mailboxes."""
    found, strange, seen = [], [], set()
    known = accounts(context)
    for spool in SPOOLS:
        real = context.old.realpath(spool)
        if real in seen:
            continue
        seen.add(real)
        found += _spool(context, spool, known, strange)
    shared = {home for home in known.values() if list(known.values()).count(home) > 1}
    for user, home in sorted(known.items()):
        if home in ("/", "/nonexistent", "/dev", "/bin", "/sbin", "/usr/sbin") or home in shared or home in SPOOLS:
            continue
        found += _home(context, user, home, strange)
    for top in list(VIRTUAL) + list(context.settings.get("mail_stores") or []):
        found += _virtual(context, top, strange)
    return [store for store in found if store.folders], strange


def _spool(context, spool, known, strange):
    out = []
    place = _mail_disk.place(context, spool)
    if place is None:
        return out
    with place:
        for name, status in place.entries():
            user, told = name.decode("utf-8", "surrogateescape"), "%s/%s" % (spool, escape(name))
            if name.startswith(b".") or name.endswith(NOT_MAIL):
                continue
            if stat.S_ISDIR(status.st_mode):
                folders = _maildir.folders(place, name) if user in known else {}
                if folders:
                    out.append(Store(user, "maildir", spool, folders, _maildir.subscriptions(place, name)))
                elif user in known and place.entries(name):
                    strange.append((told, "it is a directory, and no Maildir"))
                continue
            if not stat.S_ISREG(status.st_mode) or not status.st_size:
                continue
            if user not in known:
                strange.append(("mbox %s/%s" % (spool, escape(name)), "no account of the old system has this name"))
                continue
            before = len(strange)
            if _is_mbox(place, name, told, strange):
                out.append(Store(user, "mbox", spool, {(): name}))
            elif len(strange) == before:
                strange.append((told, "it does not begin as an mbox does: it is damaged, or another format"))
    return out


def _is_mbox(place, name, told, strange):
    start = place.read(name, 64) or b""
    if start.lstrip(b"\r\n").startswith(b"From "):
        return True
    for mark, kind in FOREIGN:
        if start.startswith(mark):
            strange.append((told, "%s is a format that only UW IMAP's own mailutil can convert" % kind))
    return False


def _home(context, user, home, strange):
    out = []
    place = _mail_disk.place(context, home)
    if place is None:
        return out
    with place:
        for name in MAILDIRS:
            with_root = name.encode()
            folders = _maildir.folders(place, with_root) if place.is_directory(with_root) else {}
            if folders:
                subscribed = _maildir.subscriptions(place, with_root)
                out.append(Store(user, "maildir", home, folders, subscribed))
            elif place.is_directory(with_root + b"/dbox-Mails") or place.is_directory(with_root + b"/mailboxes"):
                strange.append(("dbox %s/%s" % (escape(home), name), "Dovecot's dbox is read by a Dovecot of its own kind only: convert it with doveadm"))
        for name in MBOX_TREES:
            folders = _mbox_tree(place, name.encode(), "%s/%s" % (escape(home), name), strange)
            if folders:
                text = place.read(name.encode() + b"/.subscriptions") or place.read(b".mailboxlist") or b""
                subscribed = [tuple(re.sub(rb"\A[mM]ail/", b"", line.strip()).split(b"/")) for line in text.split(b"\n") if line.strip()]
                out.append(Store(user, "mbox", home, folders, subscribed))
        if _is_mbox(place, b"mbox", "%s/mbox" % escape(home), strange):
            out.append(Store(user, "mbox", home, {(b"mbox",): b"mbox"}))
    return out


def _mbox_tree(place, root, told, strange):
    folders = {}
    for name, status in place.files(root):
        if name.endswith(NOT_MAIL) or not status.st_size:
            continue
        inside = name[len(root) + 1 :]
        if _is_mbox(place, name, "%s/%s" % (told, escape(inside)), strange):
            parts = tuple(inside.split(b"/"))
            folders[() if parts in ((b"inbox",), (b"INBOX",)) else parts] = name
    return folders


def _virtual(context, top, strange):
    """DOMAIN/USER[/Maildir] below a root: the user is USER@DOMAIN."""
    out = []
    place = _mail_disk.place(context, top)
    if place is None:
        return out
    with place:
        for domain, _status in place.entries():
            if b"." not in domain or domain.startswith(b".") or not place.is_directory(domain):
                continue
            for name, _status in place.entries(domain):
                user = "%s@%s" % (name.decode("utf-8", "surrogateescape"), domain.decode("utf-8", "surrogateescape"))
                base = domain + b"/" + name
                if name.startswith(b"."):
                    continue
                roots = [base + b"/" + inner.encode() for inner in (*MAILDIRS, "mail")] + [base]
                for root in roots:
                    if place.is_directory(root + b"/cur") or place.is_directory(root + b"/new"):
                        out.append(Store(user, "maildir", top, _maildir.folders(place, root), _maildir.subscriptions(place, root)))
                        break
                else:
                    if place.is_directory(base):
                        strange.append(("%s/%s" % (escape(top), escape(base)), "no Maildir lies in it"))
    return out


def read(context, store, components):
    """{messages [{digest id flags uid ...}] validity next oddities} of one folder."""
    place = _mail_disk.place(context, store.path)
    if place is None:
        return {"messages": [], "validity": 0, "next": 0, "oddities": ["%s is not there any more" % escape(store.path)]}
    with place:
        if store.kind == "maildir":
            validity, following, _numbers = _maildir.uids(place, store.folders[components])
            return {"messages": _maildir.messages(place, store.folders[components]), "validity": validity, "next": following, "oddities": []}
        handle = place.open(store.folders[components])
        if handle is None:
            return {"messages": [], "validity": 0, "next": 0, "oddities": ["it is no plain file"]}
        with handle:
            box = _mbox.Mbox(handle)
            return {"messages": list(box.messages()), "validity": box.validity, "next": box.next_uid, "oddities": box.oddities}
