# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Who may do what as whom: the rules of /etc/sudoers and its drop-ins, without comments and layout."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

MAIN = "/etc/sudoers"
_INCLUDE = re.compile(r"^[#@]include(dir)?\s+(\S+)")


def capture(system):
    """Items "sudoers PATH" {rules [sorted lines], mode}, and "sudoers" {valid, said}; {} without sudo."""
    if not system.exists(MAIN):
        return {}
    items, todo, seen = {}, [MAIN], set()
    while todo:
        path = todo.pop(0)
        if path in seen:
            continue
        seen.add(path)
        state = system.lstat(path)
        if state is None:
            continue
        rules, included = parse(system.text(path))
        items["sudoers " + escape(path)] = {"rules": rules, "mode": "%04o" % (state.st_mode & 0o7777)}
        for directory, name in included:
            # sudo skips names with a dot and backups, in a directory only
            todo += [p for p in system.glob(name.rstrip("/") + "/*") if "." not in p.rsplit("/", 1)[1] and not p.endswith("~")] if directory else [name]
    if system.which("visudo"):
        check = system.run(["visudo", "-c"], timeout=20, check=False)
        items["sudoers"] = {"valid": check.rc == 0, "said": "" if check.rc == 0 else (check.error or check.text.strip())[-500:]}
    return items


def parse(text):
    """(sorted rules, [(is directory, path)]) of a sudoers file: continued lines joined, comments and blanks reduced."""
    rules, included = set(), []
    for line in re.sub(r"\\\n", " ", text).splitlines():
        match = _INCLUDE.match(line)
        if match:
            included.append((bool(match.group(1)), match.group(2).strip('"')))
            continue
        # "#1000" names a uid; every other number sign starts a comment
        line = re.sub(r"(?<!\\)#(?!\d).*$", "", line).strip()
        if line:
            rules.add(escape(re.sub(r"\s+", " ", line)))
    return sorted(rules), included


def compare(old, new):
    """Findings accounts.sudoers.*: a lost right is a blocker, a new one or a changed default a warning."""
    out = []
    for subject in sorted(s for s in set(old) | set(new) if s.startswith("sudoers")):
        if subject == "sudoers":
            was, now = old.get(subject, {"valid": True}), new.get(subject, {"valid": True, "said": ""})
            if was["valid"] and not now["valid"]:
                out.append(
                    Finding(
                        id="accounts.sudoers.broken",
                        severity="blocker",
                        subject="sudoers",
                        check="QF23",
                        title="sudo refuses its configuration",
                        evidence=now["said"],
                        remedy="visudo -c names file and line; keep a root shell open until it is repaired",
                        details=details("changed", "valid", True, False),
                    )
                )
            continue
        was, now = old.get(subject, {}), new.get(subject, {})
        lost, got = sorted(set(was.get("rules", [])) - set(now.get("rules", []))), sorted(set(now.get("rules", [])) - set(was.get("rules", [])))
        looser = was.get("mode") != now.get("mode") and was and now
        if not lost and not got and not looser and was and now:
            continue
        if not was and not got or not now and not lost:
            # a drop-in of comments only
            continue
        grants = [r for r in lost if not r.startswith("Defaults")]
        change = "missing" if not now else "new" if not was else "changed"
        path = subject.split(" ", 1)[1]
        out.append(
            Finding(
                id="accounts.sudoers." + change,
                severity="blocker" if grants else "warning",
                subject=subject,
                check="QF23",
                title="rights given by sudo are gone"
                if grants
                else "sudo gives new rights"
                if [r for r in got if not r.startswith("Defaults")]
                else "sudo has other defaults"
                if lost or got
                else "the file has other permissions",
                evidence="; ".join(
                    x
                    for x in (
                        "lost: " + " | ".join(lost) if lost else "",
                        "new: " + " | ".join(got) if got else "",
                        "mode %s, now %s" % (was["mode"], now["mode"]) if looser else "",
                    )
                    if x
                ),
                remedy="put the rules back with visudo" if grants else "expected? then allow it with a reason",
                details=details(change, "rules" if lost or got else "mode", "\n".join(lost), "\n".join(got), paths=[path]),
                covers=[{"section": "files", "path": path}],
            )
        )
    return out
