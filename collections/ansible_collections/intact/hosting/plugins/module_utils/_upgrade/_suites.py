# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Today's apt sources turned into the target release's, in their own format, comments kept: pure."""

from __future__ import annotations

import fnmatch
import re

from ansible_collections.intact.hosting.plugins.module_utils import _apt_sources
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

ACTIONS = ("rename", "disable", "keep")
_LINE = re.compile(r"^(\s*\S+\s+(?:\[[^\]]*\]\s*)?)(\S+)(\s+)(\S+)(.*)$", re.DOTALL)


def check_source_map(entries):
    """Raise IntactError for the first entry of the operator's source map that cannot be understood."""
    for entry in entries:
        unknown = set(entry) - {"match", "action", "uri", "suite", "reason"}
        if unknown or not entry.get("match") or entry.get("action") not in ACTIONS or not entry.get("reason"):
            raise IntactError(
                "source map entry %s: it needs match (a shell pattern on the URI, or on 'URI SUITE'), action (rename, disable or keep) and reason" % entry
            )
        if entry["action"] == "rename" and not (entry.get("uri") or entry.get("suite")):
            raise IntactError("source map entry %s: rename needs uri or suite" % entry["match"])


def decide(uri, suite, suites, source_map=()):
    """What becomes of one URI and suite: {action: map|keep|disable, uri, suite, reason}. The operator's map wins.

    suites: {old: new or None} of the release path.
    """
    for entry in source_map:
        text = "%s %s" % (uri, suite) if " " in entry["match"] else uri
        if not fnmatch.fnmatchcase(text, entry["match"]):
            continue
        if entry["action"] == "rename":
            return {"action": "map", "uri": entry.get("uri") or uri, "suite": entry.get("suite") or suite, "reason": entry["reason"]}
        return {"action": entry["action"], "uri": uri, "suite": suite, "reason": entry["reason"]}
    if suite not in suites:
        return {"action": "keep", "uri": uri, "suite": suite, "reason": "its suite does not name a release"}
    if suites[suite] is None:
        return {"action": "disable", "uri": uri, "suite": suite, "reason": "%s has no counterpart in the target release" % suite}
    return {"action": "map", "uri": uri, "suite": suites[suite], "reason": "release path"}


def _components(components, added):
    """Components with those the target release split off."""
    out = list(components)
    for rule in added:
        if rule["having"] in out and rule["add"] not in out:
            out.append(rule["add"])
    return out


def _change(path, line, old_uri, old_suite, decision):
    return {
        "path": path,
        "line": line,
        "uri": _apt_sources.without_password(old_uri),
        "suite": old_suite,
        "target_uri": _apt_sources.without_password(decision["uri"]),
        "target_suite": None if decision["action"] == "disable" else decision["suite"],
        "action": decision["action"],
        "reason": decision["reason"],
    }


def transform(path, text, suites, source_map=(), components=()):
    """(new text, [change]) of one source file. change: path line uri suite target_uri target_suite action reason.

    Raises IntactError for a file that cannot be read, or a deb822 stanza whose URIs must go different ways.
    """
    sources, wrong = _apt_sources.parse(text, path)
    if wrong:
        raise IntactError("%s line %d cannot be read as an apt source (%s): correct it" % (path, wrong[0].line, wrong[0].why))
    if path.endswith(".sources"):
        return _deb822(path, text, sources, suites, source_map, components)
    return _one_line(path, text, sources, suites, source_map, components)


def _one_line(path, text, sources, suites, source_map, components):
    lines, changes = text.splitlines(True), []
    for source in sources:
        old = lines[source.line - 1]
        decision = decide(source.uris[0], source.suites[0], suites, source_map)
        changes.append(_change(path, source.line, source.uris[0], source.suites[0], decision))
        if decision["action"] == "disable":
            lines[source.line - 1] = "# disabled for the upgrade (%s): %s" % (decision["reason"], old)
        elif decision["action"] == "map":
            head, _uri, gap, _suite, tail = _LINE.match(old).groups()
            missing = _components(source.components, components)[len(source.components) :]
            if missing:
                # Before a comment at the line's end, so that it stays a comment.
                words, gap_before, comment, end = re.match(r"^([^#\n]*?)(\s*)(#[^\n]*)?(\n?)$", tail).groups()
                tail = "%s %s%s%s" % (words, " ".join(missing), gap_before + comment if comment else "", end)
            lines[source.line - 1] = head + decision["uri"] + gap + decision["suite"] + tail
    return "".join(lines), changes


def _fields(lines, start):
    """{lower-case key: (first index, index after its last line)} of the stanza whose first field is at index start."""
    fields, index, key = {}, start, None
    while index < len(lines) and lines[index].strip():
        line = lines[index]
        if line.startswith("#"):
            pass
        elif line[0] in " \t":
            fields[key] = (fields[key][0], index + 1)
        else:
            key = line.split(":", 1)[0].strip().lower()
            fields[key] = (index, index + 1)
        index += 1
    return fields


def _deb822(path, text, sources, suites, source_map, components):
    lines, changes = text.splitlines(True), []
    # From the last stanza to the first, so that line numbers of those still to do stay true.
    for source in reversed(sources):
        if not source.enabled:
            continue
        fields, kept, uris, here = _fields(lines, source.line - 1), [], [], []
        for suite in source.suites:
            decisions = [decide(uri, suite, suites, source_map) for uri in source.uris]
            here += [_change(path, source.line, uri, suite, decision) for uri, decision in zip(source.uris, decisions)]
            if len({(d["action"], d["suite"]) for d in decisions}) > 1:
                raise IntactError(
                    "%s line %d: the URIs of this stanza must go different ways for suite %s: give each URI its own stanza" % (path, source.line, suite)
                )
            if decisions[0]["action"] != "disable":
                kept.append(decisions[0]["suite"])
                uris.append([d["uri"] for d in decisions])
        changes = here + changes
        if any(u != uris[0] for u in uris):
            raise IntactError("%s line %d: the suites of this stanza need different URIs: give each suite its own stanza" % (path, source.line))
        new = {}
        if not kept:
            new["enabled"] = "no"
        else:
            if kept != source.suites:
                new["suites"] = " ".join(dict.fromkeys(kept))
            if uris[0] != source.uris:
                new["uris"] = " ".join(uris[0])
            full = _components(source.components, components) if any(c["action"] == "map" for c in here) else source.components
            if full != source.components:
                new["components"] = " ".join(full)
        _set_fields(lines, fields, new)
    return "".join(lines), changes


_NAMES = {"uris": "URIs", "suites": "Suites", "components": "Components", "enabled": "Enabled"}


def _set_fields(lines, fields, new):
    """Replace or add fields of one stanza in place, from its end to its beginning."""
    last = max(end for _first, end in fields.values())
    missing = ["%s: %s\n" % (_NAMES[key], value) for key, value in new.items() if key not in fields]
    if missing and not lines[last - 1].endswith("\n"):
        lines[last - 1] += "\n"
    lines[last:last] = missing
    for key in sorted((k for k in new if k in fields), key=lambda k: -fields[k][0]):
        first, end = fields[key]
        lines[first:end] = ["%s: %s\n" % (_NAMES[key], new[key])]
