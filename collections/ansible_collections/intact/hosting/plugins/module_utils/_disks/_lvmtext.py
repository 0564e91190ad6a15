# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""The text in which LVM2 keeps its metadata, as dictionaries; it may come from a damaged or hostile disk."""

from __future__ import annotations

import re

DEEPEST = 16
_TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<name>[A-Za-z0-9_.+/-]+(?=\s*[={]))|(?P<number>-?\d+(?:\.\d+)?)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<mark>[={}\[\],])""", re.DOTALL
)


def parse(text):
    """{name: value}; a section is a dict, an array a list. ValueError where it is not that language."""
    return _section(_tokens(text), 0)


def _tokens(text):
    at = 0
    while at < len(text):
        found = _TOKEN.match(text, at)
        if not found:
            raise ValueError("unexpected character at %d" % at)
        at = found.end()
        if found.lastgroup:
            yield found.lastgroup, found.group()


def _section(tokens, depth):
    out = {}
    if depth > DEEPEST:
        raise ValueError("sections nested more than %d deep" % DEEPEST)
    for kind, word in tokens:
        if word == "}" and kind == "mark" and depth:
            return out
        if kind != "name":
            raise ValueError("%r where a name is expected" % word[:40])
        mark = next(tokens, ("", ""))[1]
        if mark == "{":
            out[word] = _section(tokens, depth + 1)
        elif mark == "=":
            out[word] = _value(tokens)
        else:
            raise ValueError("%r after %s" % (mark[:40], word))
    if depth:
        raise ValueError("a section does not end")
    return out


def _value(tokens):
    kind, word = next(tokens, ("", ""))
    if word == "[" and kind == "mark":
        out = []
        for kind, word in tokens:
            if kind == "mark" and word == "]":
                return out
            if kind != "mark":
                out.append(_scalar(kind, word))
            elif word != ",":
                break
        raise ValueError("an array does not end")
    return _scalar(kind, word)


def _scalar(kind, word):
    if kind == "text":
        return re.sub(r"\\(.)", r"\1", word[1:-1], flags=re.DOTALL)
    if kind == "number":
        return float(word) if "." in word else int(word)
    raise ValueError("%r where a value is expected" % word[:40])
