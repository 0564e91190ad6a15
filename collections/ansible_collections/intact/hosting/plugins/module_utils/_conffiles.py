# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Who decides between an edited configuration file and the one that a package brings: pure, the same before and after."""

from __future__ import annotations

import fnmatch

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

# A wrong file here locks people out, opens a door or stops the mail: the operator decides each, by name or by an explicit policy.
DECIDE = (
    "/etc/ssh/*",
    "/etc/pam.d/*",
    "/etc/security/*",
    "/etc/sudoers*",
    "/etc/nsswitch.conf",
    "/etc/nftables*",
    "/etc/iptables/*",
    "/etc/ufw/*",
    "/etc/default/ufw",
    "/etc/firewalld/*",
    "/etc/fail2ban/*",
    "/etc/postfix/*",
    "/etc/dovecot/*",
    "/etc/exim4/*",
    "/etc/opendkim*",
    "/etc/rspamd/*",
    "/etc/mysql/*",
    "/etc/postgresql/*",
    "/etc/bind/*",
)
DECISIONS = ("keep", "replace", "merge")


def check(entries):
    """Raise IntactError for a decision that nobody could follow."""
    for entry in entries or []:
        missing = [key for key in ("path", "decision", "reason") if not str(entry.get(key) or "").strip()]
        if missing:
            raise IntactError("distro_upgrade_conffiles: entry %s lacks %s" % (entry.get("path") or entry, ", ".join(missing)))
        if entry["decision"] not in DECISIONS:
            raise IntactError("distro_upgrade_conffiles: %s: decision %r is none of %s" % (entry["path"], entry["decision"], ", ".join(DECISIONS)))


def delicate(path):
    """Whether this file is on the list of those that somebody has to decide."""
    return any(fnmatch.fnmatchcase(path, pattern) for pattern in DECIDE)


def decision(path, entries=(), default="", target_files=()):
    """(keep | replace | merge | "", why) for a path; "" means that nobody decided.

    entries: [{path (shell pattern), decision, reason}], the first match wins. default: a policy the operator set, or "".
    target_files: paths for which the operator supplies the target's configuration: they are put in place, whatever else.
    """
    if path in target_files:
        return "merge", "the operator's target configuration takes its place"
    for entry in entries or []:
        if fnmatch.fnmatchcase(path, entry["path"]):
            return entry["decision"], entry["reason"]
    if default:
        return default, "policy: %s" % default
    return "", ""
