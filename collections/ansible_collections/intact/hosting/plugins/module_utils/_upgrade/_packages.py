# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which packages are installed, as dpkg says. Runs a command."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._command import run

INSTALLED = "${Package} ${Architecture} ${Version} ${db:Status-Abbrev} ${Installed-Size}\n"


def installed():
    """{(name, arch): {version, bytes}} of the packages that are unpacked or installed."""
    out = {}
    for line in run(["dpkg-query", "-W", "-f", INSTALLED]).text.splitlines():
        parts = line.split()
        if len(parts) >= 4 and parts[3][1:2] not in ("n", "c"):
            size = int(parts[4]) * 1024 if len(parts) > 4 and parts[4].isdigit() else 0
            out[(parts[0], parts[1])] = {"version": parts[2], "bytes": size}
    return out
