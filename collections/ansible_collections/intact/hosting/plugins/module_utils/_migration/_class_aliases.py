# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Class aliases: names and targets in the old server's text files against what the live Postfix finds when it is asked for each name."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._migration import _mail_aliases

NAME = "aliases"
RULES = []


def _told(targets):
    return {"targets": escape(", ".join(sorted(target.lower() for target in targets)))}


def old(context):
    """{"local NAME" or "virtual NAME": {targets}}."""
    found = _mail_aliases.old(context)
    return {"%s %s" % (kind, escape(name)): _told(targets) for kind, names in found.items() for name, targets in names.items()}


def new(context):
    """The same, for each old name that the live Postfix knows (postmap -q)."""
    postfix, out = _mail_aliases.Postfix(context.system, context.settings.get("postfix_config") or ""), {}
    if not postfix.there():
        return out
    for kind, names in _mail_aliases.old(context).items():
        for name in names:
            targets = postfix.query(kind, name)
            if targets:
                out["%s %s" % (kind, escape(name))] = _told(targets)
    return out
