# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Class lists: people and settings in Mailman 2's pickles, by our own confined reading, against the rows of the live Mailman 3's database."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _lists_live, _lists_old

NAME = "lists"
SUMS = ("subscribers",)


def _lines(text):
    return " ".join(str(text or "").split())


RULES = [
    {"subject": "*", "attribute": "info", "reason": "only blanks and line ends differ", "when": lambda old, new: _lines(old) == _lines(new)},
    {
        "subject": "*",
        "attribute": "description",
        "reason": "MariaDB holds 255 characters of a description",
        "when": lambda old, new: bool(new) and len(new) == 255 and str(old).startswith(new),
    },
    {
        "subject": "*",
        "attribute": "subscribers",
        "reason": "people subscribed since: all of the old ones are told one by one",
        "when": lambda old, new: (new or 0) >= (old or 0),
    },
]


def _told(attributes):
    out = {key: [escape(one) for one in value] if isinstance(value, list) else escape(value) for key, value in attributes.items()}
    return dict(out, subscribers=len(attributes["members"]) + len(attributes["digest"]))


def old(context):
    """{address: {members digest owners moderators ... subscribers}}; a list that can't be read is there with what was said of it."""
    out = {}
    for entry in _lists_old.lists(context)[0]:
        if entry["name"].lower() == _lists_old.SITE:
            continue
        try:
            told = _lists_old.config(context, entry)[0]
            out[escape(_lists_old.address(entry, told))] = _told(_lists_old.wanted(told))
        except IntactError as exc:
            out[escape(entry["name"])] = {"unreadable": str(exc)}
    return out


def new(context):
    """The same of live lists that the old disk has. Of people, those that the old disk has: who subscribed since is no difference."""
    live = _lists_live.Mailman(context.system)
    if not live.there():
        return {}
    there, out = live.lists(), {}
    for address, before in old(context).items():
        if address not in there:
            continue
        told = _told(_lists_live.told_of(there[address]))
        for role in ("members", "digest", "owners", "moderators"):
            told[role] = [who for who in told[role] if who in before.get(role, [])]
        out[address] = {name: value for name, value in told.items() if name in before}
    return out
