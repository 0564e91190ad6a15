# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Arguments and results that the modules of a migration share."""

from __future__ import annotations

import os
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _attached, _context, _phases

IDENT = re.compile(r"[a-z0-9][a-z0-9._-]{1,79}\Z")
# Findings and reasons that go to the controller; the rest is in the document on the host.
MOST = 200

SPEC = {
    "migration": {"type": "str", "required": True},
    "directory": {"type": "path", "default": _context.DIRECTORY},
    "root": {"type": "path", "required": True},
    "token": {"type": "str", "required": True, "no_log": False},
    "overlay_dir": {"type": "path", "default": _attached.OVERLAYS},
    "settings": {"type": "dict", "default": {}},
}


def context(params, phase, system, check=False):
    """The Context of a module's parameters, after a look that the disk at the root is the token's. Raises IntactError when it is not."""
    ident = params["migration"]
    if not IDENT.match(ident) or ".." in ident:
        raise IntactError("%r is no name for a migration: 2 to 80 of a-z 0-9 . _ -" % ident)
    _attached.check(system, params["root"], params["token"], params["overlay_dir"])
    settings = dict(params["settings"] or {}, token=params["token"])
    made = _context.Context(params["root"], os.path.join(params["directory"], ident), settings, system, phase)
    about = made.about()
    if not check or about:
        _phases.claim(made, params["token"], write=not check)
    return made


def small(findings):
    """Findings (Finding or dict) as they go to the controller: the worst first, with one that tells of those that stay on the host."""
    plain = [f.as_dict() if isinstance(f, Finding) else f for f in findings]
    order = {"blocker": 0, "warning": 1, "info": 2}
    plain.sort(key=lambda f: order.get(f.get("severity"), 3))
    left = plain[MOST:]
    if not left:
        return plain
    worst = left[0]["severity"]
    more = Finding(
        "migration.more",
        worst,
        "%d more findings" % len(left),
        "they are in the documents of the migration on the host",
        evidence="; ".join(sorted({f["id"] for f in left}))[:500],
        remedy="read the phase's .json in the migration's directory",
    )
    return plain[:MOST] + [more.as_dict()]


def reasons(explained):
    """[{class, reason, count}] of a document's explained, the most frequent first."""
    counts = {}
    for line in explained:
        key = (line.get("class", ""), line.get("reason", ""))
        counts[key] = counts.get(key, 0) + 1
    out = [{"class": klass, "reason": reason, "count": count} for (klass, reason), count in sorted(counts.items(), key=lambda e: (-e[1], e[0]))]
    return out[:MOST]
