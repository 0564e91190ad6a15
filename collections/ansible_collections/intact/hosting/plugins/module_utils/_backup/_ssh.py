# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The ssh that a repository over SFTP is reached with. Pure."""

from __future__ import annotations

import shlex
import urllib.parse


def command(url, identity_file="", known_hosts_file=""):
    """The ssh command for sftp:user@host:/path or sftp://user@host:port//path: asks nobody, trusts no unknown host, ends when the line is dead."""
    rest = url[len("sftp:") :]
    if rest.startswith("//"):
        parts = urllib.parse.urlsplit(url)
        user, host, port = parts.username or "", parts.hostname or "", parts.port
    else:
        place, port = rest.partition(":")[0] if not rest.startswith("[") else rest, None
        user, _sign, host = place.rpartition("@")
    options = ["BatchMode=yes", "StrictHostKeyChecking=yes", "ConnectTimeout=30", "ServerAliveInterval=30", "ServerAliveCountMax=4"]
    options += ["UserKnownHostsFile=" + known_hosts_file] if known_hosts_file else []
    options += ["IdentitiesOnly=yes"] if identity_file else []
    argv = ["ssh"] + [part for option in options for part in ("-o", option)] + (["-i", identity_file] if identity_file else [])
    argv += (["-p", str(port)] if port else []) + (["-l", user] if user else []) + ["-s", host, "sftp"]
    return " ".join(shlex.quote(part) for part in argv)
