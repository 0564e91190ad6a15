# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Log rotation: what logrotate says of its configuration in a dry run (QF40), and which logs it cares for. A disk full of logs comes weeks later."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

SECTION = "rotation"
CONFIGURATION = "/etc/logrotate.conf"
SHOWN = 5
INTERVAL = re.compile(r"  (?:\S+ )?(?:hourly|daily|weekly|monthly|yearly|after|forced|\d+ bytes|\d+ hours?)")


def capture(system):
    """Items: "log /var/log/x.log" {} (patterns as configured), "error TEXT" {}. None without logrotate.

    logrotate -d changes nothing, neither logs nor its state.
    """
    if not system.which("logrotate") or not system.exists(CONFIGURATION):
        return None
    said = system.run(["logrotate", "-d", CONFIGURATION], timeout=120, check=False)
    text = said.text + "\n" + said.err.decode("utf-8", "surrogateescape")
    items = {"log " + escape(pattern): {} for pattern in patterns(text)}
    errors = sorted(set(error_lines(text)))
    if said.rc != 0 and not errors:
        errors = ["logrotate -d ended with status %d" % said.rc]
    items.update(("error " + escape(line), {}) for line in errors)
    return {"items": items, "summary": {"logs": len(items) - len(errors), "errors": len(errors)}}


def patterns(text):
    """Patterns of logs from the dry run's "rotating pattern: A B  weekly (4 rotations)". Pure."""
    out = set()
    for line in text.splitlines():
        if line.startswith("rotating pattern: "):
            words = INTERVAL.split(line[len("rotating pattern: ") :], maxsplit=1)[0]
            out.update(word.strip("\"'") for word in words.split() if word.strip("\"'").startswith("/"))
    return out


def error_lines(text):
    """What logrotate complains of, without line numbers, which move. Pure."""
    for line in text.splitlines():
        found = re.match(r"^error: (.*)$", line.strip())
        if found and not found.group(1).startswith("found error in"):  # the same again
            yield re.sub(r":\d+(?= |:)", "", found.group(1)).strip()


def compare(before, after):
    """A finding rotation.error for each new complaint; the first names logs that nobody rotates any more, which new packages alone may bring about."""
    old, new, out = before.get("items", {}), after.get("items", {}), []
    for subject in sorted(set(new) - set(old)):
        if subject.startswith("error "):
            text = subject[len("error ") :]
            paths = sorted(set(re.findall(r"/[^\s:'\"]+", text)))
            out.append(
                Finding(
                    id="rotation.error",
                    severity="warning",
                    subject=text[:120],
                    check="QF40",
                    title="logrotate complains of what it did not before",
                    evidence=text,
                    remedy="logrotate -d %s, and repair what it names: logs of this file or of all may grow until the disk is full" % CONFIGURATION,
                    details=details("new", "", None, text, paths=paths),
                )
            )
    gone = [subject[len("log ") :] for subject in sorted(old) if subject.startswith("log ") and subject not in new]
    if gone and out:
        out[0].evidence += "; not rotated any more: %s%s" % (", ".join(gone[:SHOWN]), " and %d more" % (len(gone) - SHOWN) if len(gone) > SHOWN else "")
    return out
