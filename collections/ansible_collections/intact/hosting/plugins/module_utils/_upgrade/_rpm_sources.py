# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Repository files of dnf and zypper, and what becomes of each repository in the target release."""

from __future__ import annotations

import fnmatch
import os
import re

from ansible_collections.intact.hosting.plugins.module_utils import _apt_sources
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

_SECTION = re.compile(r"^\[([^\]]+)\]\s*$")
_FIELD = re.compile(r"^([A-Za-z_]+)\s*=\s*(.*)$")
_VARIABLE = re.compile(r"\$\{?releasever(?:_major)?\}?")
URLS = ("baseurl", "mirrorlist", "metalink")


def live(directory):
    """[(path, text)] of the repository files of a directory, sorted."""
    out = []
    for name in sorted(os.listdir(directory)) if os.path.isdir(directory) else []:
        data = read_if_exists(os.path.join(directory, name)) if name.endswith(".repo") else None
        if data is not None:
            out.append((os.path.join(directory, name), data.decode("utf-8", "surrogateescape")))
    return out


def _server(url, match):
    """What the first * of a pattern that begins with it stands for in an address: all before the words that follow it. Pure."""
    words = re.split(r"[*?\[]", match[1:])[0] if match.startswith("*") else ""
    before, found, _after = url.partition(words) if words else ("", "", "")
    if not found:
        raise IntactError("{server} has no meaning for the pattern %s: begin it with * and words of the address" % match)
    return before


def decide(name, url, source, target, rules=(), source_map=()):
    """What becomes of a repository: {action: map | keep | disable, url, reason}. Pure. The operator's map wins over the path's rules.

    rules: the release path's repositories [{match, action: rename | release | disable | keep, uri, reason}]; match is a shell pattern on the URL, or with a
    space in it on 'URL NAME'; {server} in uri is what match's first * stood for, so that a mirror stays the same one. source, target: release versions.
    Raises IntactError when the URL names the source release and nobody said what it becomes.
    """
    for entry in list(source_map) + list(rules):
        if not fnmatch.fnmatchcase("%s %s" % (url, name) if " " in entry["match"] else url, entry["match"]):
            continue
        if entry["action"] == "rename":
            uri = entry.get("uri") or url
            if "{server}" in uri:
                uri = uri.replace("{server}", _server(url, entry["match"]))
            return {"action": "map", "url": uri, "reason": entry["reason"]}
        if entry["action"] == "release":
            return {"action": "map", "url": url.replace(source, target), "reason": entry["reason"]}
        return {"action": entry["action"], "url": url, "reason": entry["reason"]}
    if _VARIABLE.search(url):
        return {"action": "map", "url": url, "reason": "its address has the release as a variable"}
    if re.search(r"(^|[^0-9.])%s($|[^0-9.])" % re.escape(source), url):
        raise IntactError("the address of repository %s (%s) names release %s" % (name, _apt_sources.without_password(url), source))
    return {"action": "keep", "url": url, "reason": "its address does not name a release"}


def sections(text):
    """[(first line's index, index after its last line, name, {field: (index, value)})] of a repository file. Pure."""
    lines, out = text.splitlines(), []
    for index, line in enumerate(lines):
        match = _SECTION.match(line.strip())
        if match:
            out.append([index, len(lines), match.group(1), {}])
            if len(out) > 1:
                out[-2][1] = index
            continue
        field = _FIELD.match(line)
        if field and out:
            out[-1][3].setdefault(field.group(1).lower(), (index, field.group(2).strip()))
    return [tuple(entry) for entry in out]


def transform(path, text, source, target, rules=(), source_map=()):
    """(new text, [change]) of a repository file. Pure. change: as of _suites.transform, suite is the repository's name."""
    lines, changes = text.splitlines(), []
    for first, _end, name, fields in sections(text):
        if name == "main" or fields.get("enabled", (0, "1"))[1].lower() in ("0", "no", "false", "off"):
            continue
        url = next((fields[key] for key in URLS if key in fields), None)
        if url is None:
            continue
        decision = decide(name, url[1], source, target, rules, source_map)
        changes.append(
            {
                "path": path,
                "line": first + 1,
                "uri": _apt_sources.without_password(url[1]),
                "suite": name,
                "target_uri": _apt_sources.without_password(decision["url"]),
                "target_suite": None if decision["action"] == "disable" else name,
                "action": decision["action"],
                "reason": decision["reason"],
            }
        )
        if decision["action"] == "disable":
            if "enabled" in fields:
                lines[fields["enabled"][0]] = "enabled=0"
            else:
                lines[first] += "\nenabled=0"
        elif decision["action"] == "map" and decision["url"] != url[1]:
            # A renamed repository has one address: a list of mirrors would still be the old release's.
            for key in URLS:
                if key in fields:
                    lines[fields[key][0]] = "#" + lines[fields[key][0]]
            lines[url[0]] = "baseurl=" + decision["url"]
        elif decision["action"] == "keep":
            lines[url[0]] = _VARIABLE.sub(source, lines[url[0]])
    return "\n".join(lines) + "\n" if lines else "", changes


def staged(directory, source, target, rules=(), source_map=()):
    """([(live path, new text)], [change]) for a directory of repository files."""
    texts, changes = [], []
    for path, text in live(directory):
        new, here = transform(path, text, source, target, rules, source_map)
        texts.append((path, new))
        changes += here
    return texts, changes


def write(texts, directory):
    """Write staged files, and nothing else, into a directory of their own."""
    os.makedirs(directory, mode=0o700, exist_ok=True)
    wanted = {os.path.basename(path) for path, _text in texts}
    for name in os.listdir(directory):
        if name not in wanted:
            os.unlink(os.path.join(directory, name))
    for path, text in texts:
        write_atomic(os.path.join(directory, os.path.basename(path)), text.encode("utf-8", "surrogateescape"))
