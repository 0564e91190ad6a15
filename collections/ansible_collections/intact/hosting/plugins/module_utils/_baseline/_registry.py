# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Every probe by its section, in the order they are run and shown. Imports are static: Ansible packs only what it can see."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._baseline import (
    accounts,
    confinement,
    cron,
    databases,
    disks,
    dns,
    files,
    firewall,
    integrity,
    lists,
    mail,
    mounts,
    network,
    packages,
    queue,
    resolver,
    resources,
    rotation,
    runtimes,
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
        integrity,
        services,
        runtimes,
        sockets,
        sites,
        tls,
        mail,
        queue,
        lists,
        dns,
        databases,
        cron,
        rotation,
        firewall,
        confinement,
        sysctl,
        files,
        resources,
    )
}
