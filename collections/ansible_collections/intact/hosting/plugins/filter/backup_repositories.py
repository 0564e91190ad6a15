# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Filters that part a list of repositories into what the job says of them and the secrets that are brought to the host."""

from __future__ import annotations

SECRETS = "/etc/intact/backup/secrets"
# Key on the controller (…_src) and in the job (…_file), and whether it is a secret.
KINDS = (("password", True), ("environment", True), ("ca", False), ("identity", True), ("known_hosts", False))


def backup_repositories(repositories):
    """Entries of the job: each …_src becomes the …_file that it will be on the host."""
    out = []
    for entry in repositories:
        job = {key: value for key, value in entry.items() if not key.endswith("_src")}
        for kind, _secret in KINDS:
            if entry.get(kind + "_src"):
                job[kind + "_file"] = "%s/%s.%s" % (SECRETS, entry["name"], kind)
        out.append(job)
    return out


def backup_secrets(repositories):
    """[{src, dest, secret}] of the files that are copied."""
    return [
        {"src": entry[kind + "_src"], "dest": "%s/%s.%s" % (SECRETS, entry["name"], kind), "secret": secret}
        for entry in repositories
        for kind, secret in KINDS
        if entry.get(kind + "_src")
    ]


class FilterModule:
    """Filters of this file."""

    def filters(self):
        """Name to function."""
        return {"backup_repositories": backup_repositories, "backup_secrets": backup_secrets}
