# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Class mailboxes: every folder's messages, by our own parsers on the old disk against what the live Dovecot tells an IMAP client.

New mail is no difference, so of the live side only messages are counted that the old side has; `doubled` tells of those that are there too often.
"""

from __future__ import annotations

import collections

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _digests
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._migration import _mail_live, _mail_names, _mail_old, _mail_users

NAME = "mailboxes"
SUMS = ("messages",)
RULES = [
    {
        "subject": "*",
        "attribute": "doubled",
        "reason": "messages are there more often than on the old disk: nothing is lost",
        "when": lambda old, new: (new or 0) > (old or 0),
    }
]


def _folders(context):
    """{user: {components: Counter of digests}} of the old disk, all stores of a user together."""
    out = {}
    for user, stores in _mail_users.users(context)[0].items():
        folders = out.setdefault(user, {})
        for store in stores:
            for components in store.folders:
                found = collections.Counter(m["digest"] for m in _mail_old.read(context, store, components)["messages"])
                folders.setdefault(components, collections.Counter()).update(found)
    return out


def _told(count, doubled):
    return {"messages": sum(count.values()), "digest": _digests.short(",".join(sorted(count.elements()))), "doubled": doubled}


def old(context):
    """{"USER/FOLDER": {messages, digest of their ids, doubled (0)}}, and mail of the spool that can't be read, which is never there."""
    out = {
        "%s/%s" % (escape(user), _mail_names.shown(components)): _told(count, 0)
        for user, folders in _folders(context).items()
        for components, count in folders.items()
    }
    out.update({subject: {"unread": why} for subject, why in _mail_users.users(context)[1] if _mail_old.lost(subject)})
    return out


def new(context):
    """The same of the live mailboxes, for folders that the old disk has."""
    out, live = {}, _mail_live.Live(context.system, context.settings.get("dovecot_config") or "")
    stores = _mail_users.users(context)[0]
    for user, folders in _folders(context).items():
        owner = live.user(user)
        if owner is None or owner["uid"] < live.first():
            continue
        with live.session(user) as session:
            names = _mail_names.Names(session.separator, session.prefix, "." if any(s.kind == "maildir" for s in stores[user]) else "")
            # the order gives the names where two would be one
            order = [components for store in stores[user] for components in sorted(store.folders)]
            for components in dict.fromkeys(order):
                name = names.imap(components)
                if name != "INBOX" and name not in session.names():
                    continue
                count = folders[components]
                there = collections.Counter(m["digest"] for m in session.folder(name)["messages"])
                doubled = sum(there[d] - n for d, n in count.items() if there[d] > n)
                out["%s/%s" % (escape(user), _mail_names.shown(components))] = _told(count & there, doubled)
    return out
