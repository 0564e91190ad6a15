# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""HTML and SVG by function calls: text is always escaped, because names in a report were chosen by customers."""

from __future__ import annotations

import html

from ansible_collections.intact.hosting.plugins.module_utils._report._words import visible

EMPTY = ("br", "meta", "rect", "line", "circle", "path", "polygon", "hr", "col")


class Markup(str):
    """Text that is markup already; only tag() and join() make it."""


def text(thing):
    """Escaped text, or the markup itself. Lists are joined, None is nothing."""
    if thing is None:
        return Markup("")
    if isinstance(thing, Markup):
        return thing
    if isinstance(thing, (list, tuple)):
        return join(thing)
    return Markup(html.escape(visible(thing), quote=True))


def join(parts):
    """Several things one after another."""
    return Markup("".join(text(part) for part in parts))


def tag(element, /, *children, **attributes):
    """An element. cls is class; _ in attribute names is -; attributes that are None are left out."""
    out = ["<", element]
    for key, given in attributes.items():
        if given is not None:
            out.append(' %s="%s"' % ("class" if key == "cls" else key.replace("_", "-"), html.escape(visible(given), quote=True)))
    if element in EMPTY:
        return Markup("".join(out) + ("/>" if element not in ("br", "meta", "hr", "col") else ">"))
    return Markup("".join(out) + ">" + join(children) + "</" + element + ">")
