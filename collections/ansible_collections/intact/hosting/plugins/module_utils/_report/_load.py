# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The only file of the report that opens files: a flight's directory on the controller, as plain data."""

from __future__ import annotations

import hashlib
import os

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document, read_if_exists
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

DOCUMENTS = ("preflight", "postflight", "comparison", "outages", "plan", "progress", "migration", "rollback-verdict")
# What the report needs of the hops before the last one, from their own directories.
HOP_DOCUMENTS = ("preflight", "postflight", "comparison")
BASELINES = ("baseline-before", "baseline-after")
# Packages whose versions tell a reader what the host runs.
TELLING = (
    "base-files",
    "linux-image-amd64",
    "linux-image-arm64",
    "libc6",
    "systemd",
    "openssh-server",
    "nginx",
    "apache2",
    "php-fpm",
    "mariadb-server",
    "mysql-server",
    "postgresql",
    "postfix",
    "exim4",
    "dovecot-core",
    "mailman3",
    "bind9",
    "python3",
)


def load(directory):
    """What a flight left: {events, torn, unreadable: [{file, why}], files: {name: {bytes, sha256}}, preflight … progress: dict or None,
    baseline-before, baseline-after: digest() or None, hops: {number: {preflight, postflight, comparison}} of those before the last}.
    """
    if not os.path.isdir(directory):
        raise IntactError("there is no flight in %s: name the directory that was copied from the host" % directory)
    events, torn = _flight.parse(read_if_exists(os.path.join(directory, _flight.JOURNAL)) or b"")
    if not events:
        raise IntactError("%s has no journal: nothing is known about this flight, so no report can be drawn" % directory)
    sources = {"events": events, "torn": torn, "unreadable": [], "files": {}}
    for name in DOCUMENTS + BASELINES:
        document = _document(directory, name + (".json.gz" if name in BASELINES else ".json"), sources)
        sources[name] = digest(document) if document is not None and name in BASELINES else document
    sources["hops"] = {
        number: {name: _document(directory, "hop-%d/%s.json" % (number, name), sources) for name in HOP_DOCUMENTS} for number in range(1, _flight.hops(events))
    }
    return sources


def _document(directory, name, sources):
    """One file's data, None when it is not there or cannot be read, which sources then tells of."""
    path = os.path.join(directory, name)
    if not os.path.exists(path):
        return None
    try:
        document = read_document(path)
        if not isinstance(document, dict):
            raise ValueError("not a JSON object")
        with open(path, "rb") as handle:
            data = handle.read()
    except (OSError, ValueError, EOFError) as exc:
        sources["unreadable"].append({"file": name, "why": str(exc)[:200]})
        return None
    sources["files"][name] = {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
    return document


def digest(document):
    """What the report needs of a baseline: {taken, host, seconds, sections: {name: {status, reason, seconds, unlooked, summary}}, versions}."""
    sections = {}
    for name, section in (document.get("sections") or {}).items():
        sections[name] = {
            "status": section.get("status", "missing"),
            "reason": section.get("reason", ""),
            "seconds": section.get("seconds", 0),
            "bytes": section.get("bytes", 0),
            "unlooked": section.get("unlooked") or [],
            "summary": (section.get("data") or {}).get("summary") or {},
        }
    packages = (((document.get("sections") or {}).get("packages") or {}).get("data") or {}).get("items") or {}
    versions = {}
    for name in TELLING:
        for subject in (name, name + ":amd64", name + ":arm64", name + ":all"):
            item = packages.get(subject)
            if isinstance(item, dict) and item.get("version"):
                versions[name] = item["version"]
    return {
        "taken": document.get("taken", ""),
        "host": document.get("host", ""),
        "seconds": document.get("seconds", 0),
        "sections": sections,
        "versions": versions,
    }
