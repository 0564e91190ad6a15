# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Every probe by its section, in the order they are run and shown. Imports are static: Ansible packs only what it can see."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import (
    accounts,
    cron,
    databases,
    disks,
    dns,
    files,
    firewall,
    lists,
    mail,
    mounts,
    network,
    packages,
    queue,
    resolver,
    resources,
    services,
    sites,
    sockets,
    sysctl,
    tls,
)

PROBES = {
    probe.SECTION: probe
    for probe in (
        disks,
        mounts,
        network,
        resolver,
        accounts,
        packages,
        services,
        sockets,
        sites,
        tls,
        mail,
        queue,
        lists,
        dns,
        databases,
        cron,
        firewall,
        sysctl,
        files,
        resources,
    )
}
