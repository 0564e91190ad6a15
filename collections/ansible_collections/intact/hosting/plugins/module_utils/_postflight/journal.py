# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""New kinds of errors in the journal since the last start of the system (QF38)."""

from __future__ import annotations

import json
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

# What differs between two tellings of one error: session ids, names of temporary files, addresses, numbers.
VOLATILE = (
    (re.compile(r"<[^<>]*>"), "<*>"),
    (re.compile(r"\.[0-9a-zA-Z.]*\.[0-9a-f]{8,}"), ".*"),
    (re.compile(r"0x[0-9a-fA-F]+"), "0x*"),
    (re.compile(r"\b[0-9a-fA-F]{8,}\b"), "*"),
    (re.compile(r"\d+"), "N"),
    (re.compile(r"\s+"), " "),
)


def signature(unit, message):
    """One line for a kind of error."""
    for pattern, put in VOLATILE:
        message = pattern.sub(put, message)
    return "%s: %s" % (unit, message.strip()[:160])


def signatures(output):
    """{signature: (count, example)} from `journalctl -o json` lines."""
    seen = {}
    for line in output.splitlines():
        try:
            entry = json.loads(line)
        except ValueError:
            continue
        message = entry.get("MESSAGE")
        if isinstance(message, list):  # bytes that are not UTF-8
            message = bytes(message).decode("utf-8", "backslashreplace")
        unit = entry.get("SYSLOG_IDENTIFIER") or entry.get("_SYSTEMD_UNIT") or "?"
        kind = signature(unit, message or "")
        count, example = seen.get(kind, (0, (message or "")[:300]))
        seen[kind] = (count + 1, example)
    return seen


def new_errors(context):
    """QF38: error kinds since the system was started that were not there before the flight."""
    host = context.host
    if not host.which("journalctl") or not context.opened:
        return []
    base = ["journalctl", "-o", "json", "-q", "-p", "err", "--no-pager"]
    opened = context.opened.replace("T", " ").split(".")[0] + " UTC"
    before = signatures(host.run(base + ["--until", opened], check=False).text)
    started = host.run(["systemctl", "show", "-P", "UserspaceTimestamp"], check=False).text.strip()
    after = signatures(host.run(base + ["--since", started.split(" ", 1)[-1] if started else opened], check=False).text)
    return [
        Finding(
            id="logs.new",
            severity="warning",
            subject=kind,
            title="an error that was not in the journal before the flight (%d times)" % count,
            evidence=example,
            remedy="read it; waive it by this subject when it is harmless",
        )
        for kind, (count, example) in sorted(after.items())
        if kind not in before
    ]
