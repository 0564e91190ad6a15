# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Questions that packages ask through debconf, where the answer that nobody gave would do harm (PF46)."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.plugins.module_utils._preflight import bootchain


def answered(context):
    """PF46: each question that the release path names has an answer, or one that does no harm."""
    host, found = context.host, []
    rules = [entry for entry in context.release_path.get("questions") or [] if context.installed(str(entry["package"]))]
    if rules and not host.which("debconf-show"):
        remedy = "apt-get install debconf"
        return [Finding("questions.unread", "warning", "debconf", "nobody could see which questions are answered", "debconf-show is not there", remedy)]
    for entry in rules:
        if entry.get("machine") and context.container():
            continue
        value, seen = bootchain.answers(context, str(entry["package"])).get(str(entry["question"]), ("", False))
        wanted = entry.get("answer")
        if (value == str(wanted)) if wanted is not None else (value != "" or (seen and entry.get("empty"))):
            continue
        evidence = "%s is %s; %s" % (entry["question"], value or "empty", entry["reason"])
        kind, example = entry.get("type") or "string", wanted if wanted is not None else "ANSWER"
        remedy = "echo '%s %s %s %s' | debconf-set-selections" % (entry["package"], entry["question"], kind, example)
        severity = entry.get("severity") or "warning"
        found.append(Finding("questions.open", severity, str(entry["package"]), "a question of this package has no answer", evidence, remedy))
    return found
