# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What a post-flight check gets.

A check is a function (context) -> list of Finding. Most of what post-flight asks is answered by comparing two
baselines; these are the questions that a comparison can't ask (is the target reached, is the package database clean,
does a message really arrive).
"""

from __future__ import annotations

import os
import time
import zlib
from dataclasses import dataclass, field

from ansible_collections.intact.hosting.plugins.module_utils import _checks
from ansible_collections.intact.hosting.plugins.module_utils._files import read_document
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# Of the document that postflight_reference writes before a flight.
SCHEMA = 1
UNDONE = {"id": "postflight.unchecked", "subject": "%(title)s", "remedy": "repair what is named and run verify-host again"}


@dataclass
class Context:
    """host: a reader with run, read, text, glob, exists, which. release_path: the release path's data.

    options: the role's settings for checks. plan: what was accepted before take-off, or {}.
    opened: when the flight was opened, UTC ISO 8601, or "". clock: seconds, for waiting.
    before: what was seen before the flight besides the baseline: {"mail": {marks}, "panels": {name: inventory}}, keys only where it was looked.
    seen: what one check leaves for the next.
    """

    host: object
    release_path: dict = field(default_factory=dict)
    options: dict = field(default_factory=dict)
    plan: dict = field(default_factory=dict)
    opened: str = ""
    clock: object = time
    before: dict = field(default_factory=dict)
    seen: dict = field(default_factory=dict)


def reference(path):
    """What postflight_reference wrote, for Context.before; {} where nobody looked. Raises IntactError when it can't be read."""
    if not path or not os.path.exists(path):
        return {}
    try:
        document = read_document(path)
    except (OSError, EOFError, ValueError, zlib.error) as exc:
        raise IntactError("the document of the look before the flight, %s, cannot be read (%s)" % (path, exc)) from exc
    if not isinstance(document, dict) or document.get("schema") != SCHEMA:
        raise IntactError("%s is no document of a look before a flight that this release reads (schema %d)" % (path, SCHEMA))
    return document


def perform(checks, context, clock=time.monotonic):
    """Run checks (see _checks.perform)."""
    return _checks.perform(checks, context, UNDONE, clock)
