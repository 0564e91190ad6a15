# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""New kinds of denials by AppArmor or SELinux since the last start of the system (QF26): a daemon that may no longer do its work."""

from __future__ import annotations

import json
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

CONTAINERS = ("/run/systemd/container", "/.dockerenv", "/run/.containerenv")
APPARMOR = re.compile(r'apparmor="DENIED"')
SELINUX = re.compile(r"avc:\s+denied\s+\{([^}]*)\}")


def kind(message):
    """(who, what was denied) of a message of the kernel or of auditd, or None. Pure."""
    fields = {key: value.strip('"') for key, value in re.findall(r'(\w+)=("[^"]*"|\S+)', message)}
    if APPARMOR.search(message):
        what = "%s %s" % (fields.get("operation", "?"), re.sub(r"\d+", "N", fields.get("name", fields.get("capname", ""))))
        return fields.get("profile", "?"), what.strip()
    found = SELINUX.search(message)
    if found:
        parts = [(fields.get(key, "").split(":") + ["?"] * 3)[2] for key in ("scontext", "tcontext")]
        return parts[0], "%s on %s (%s)" % (found.group(1).strip(), parts[1], fields.get("tclass", "?"))
    return None


def kinds(output):
    """{(who, what): (count, example)} from `journalctl -o json`. Pure."""
    seen = {}
    for line in output.splitlines():
        try:
            message = json.loads(line).get("MESSAGE")
        except ValueError:
            continue
        if isinstance(message, list):  # bytes that are not UTF-8
            message = bytes(message).decode("utf-8", "backslashreplace")
        told = kind(message or "")
        if told:
            count, example = seen.get(told, (0, message[:300]))
            seen[told] = (count + 1, example)
    return seen


def denials(context):
    """QF26: nothing is denied since the system was started that was not denied before the flight."""
    host = context.host
    if any(host.exists(path) for path in CONTAINERS) or not host.which("journalctl") or not context.opened:
        return []
    if not host.exists("/sys/kernel/security/apparmor") and not host.exists("/sys/fs/selinux/enforce"):
        return []
    # auditd may take the messages over: then they come by another transport
    base = ["journalctl", "-o", "json", "-q", "--no-pager", "_TRANSPORT=kernel", "+", "_TRANSPORT=audit"]
    before = kinds(host.run(base + ["--until", context.opened.replace("T", " ").split(".")[0] + " UTC"], timeout=180, check=False).text)
    after = kinds(host.run(base + ["-b"], timeout=180, check=False).text)
    return [
        Finding(
            id="confinement.denied",
            severity="warning",
            subject="%s: %s" % who,
            title="was denied what it was not before the flight (%d times)" % count,
            evidence=example,
            remedy="read it; allow it in the profile (aa-logprof, audit2allow) when the program has to do this",
        )
        for who, (count, example) in sorted(after.items())
        if who not in before
    ]
