# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""All pre-flight checks, in the order in which they run: what everything else depends on comes first."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._checks import Check
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import (
    baseline,
    bootchain,
    conffiles,
    configs,
    databases,
    disks,
    drivers,
    engines,
    fingerprint,
    floor,
    foreign,
    health,
    layout,
    machine,
    naming,
    outofband,
    packages,
    panels,
    proofs,
    questions,
    release,
    removals,
    rollback,
    runtimes,
    services,
    sources,
    space,
    sshd,
    storage,
    targets,
    window,
)

CHECKS = (
    Check("PF52", "an earlier result still holds", fingerprint.holds),
    Check("PF51", "the baseline is complete", baseline.complete),
    Check("PF01", "the pair of releases is one supported step", release.pair),
    Check("PF08", "every source can be read", sources.parsed),
    Check("PF12", "every source answers, signed and current", sources.reachable),
    Check("PF10", "suites are the source release's own", sources.suites),
    Check("PF11", "components that were split are known", machine.components),
    Check("PF09", "third-party sources have the target release", sources.third_party),
    Check("PF02", "the source release is fully patched", release.patched),
    Check("PF03", "the newest kernel runs, no reboot is due", release.reboot),
    Check("PF04", "the package database is sound", packages.database),
    Check("PF05", "no package manager is at work", packages.busy),
    Check("PF06", "held and pinned packages are decided", packages.held),
    Check("PF07", "every package comes from a source", foreign.foreign),
    Check("PF31", "sshd takes connections throughout", foreign.minimum_versions),
    Check("PF44", "nothing protected is removed", removals.removals),
    Check("PF13", "room for the real transaction", space.transaction),
    Check("PF14", "room in /boot", space.boot),
    Check("PF15", "inodes", space.inodes),
    Check("PF16", "nothing in /tmp has to survive", space.temporary),
    Check("PF17", "enough memory", machine.memory),
    Check("PF18", "the target runs on this machine", machine.processor),
    Check("PF19", "/usr is merged, or can be", layout.merged_usr),
    Check("PF20", "no package needs libraries by names that go", layout.time64),
    Check("PF21", "fstab mounts again", disks.fstab),
    Check("PF22", "network and layered mounts are known", storage.network),
    Check("PF23", "these are the known disks", disks.identity),
    Check("PF24", "disks, arrays and file systems are well", health.health),
    Check("PF25", "storage is built of what the target supports", storage.storage),
    Check("PF26", "the boot loader is where the machine looks", bootchain.loader),
    Check("PF27", "our boot loader boots this host", bootchain.proven),
    Check("PF28", "network names and what sets them up stay", naming.naming),
    Check("PF29", "names can be resolved afterwards", naming.resolver),
    Check("PF32", "a way in beside the network was tried", outofband.attested),
    Check("PF33", "the backup is proven", proofs.backup),
    Check("PF34", "the panel's export is proven", proofs.panel),
    Check("PF35", "the way back that was decided is possible", rollback.possible),
    Check("PF36", "databases are whole", databases.integrity),
    Check("PF37", "database engines have a way to the target", engines.engines),
    Check("PF38", "databases will shut down cleanly", databases.shutdown),
    Check("PF39", "runtimes exist at the target", runtimes.runtimes),
    Check("PF40", "configurations are valid now", configs.valid_now),
    Check("PF41", "the target's daemons accept the configuration", targets.valid_there),
    Check("PF30", "the target's sshd lets the same people in", sshd.login),
    Check("PF42", "the control panel supports the target", panels.support),
    Check("PF43", "no panel or backup job is at work", panels.at_rest),
    Check("PF45", "configuration files are decided", conffiles.questions),
    Check("PF46", "packages' questions are answered", questions.answered),
    Check("PF47", "the target's kernel has the drivers", drivers.drivers),
    Check("PF48", "no failed units", services.failed),
    Check("PF49", "nothing starts package work by itself", services.quiet),
    Check("PF50", "name, time and certificates are in order", floor.floor),
    Check("PF53", "the window holds the upgrade and the way back", window.fits),
)


# What these ask is about the way to the target: without a release path nobody can answer.
NEED_PATH = frozenset(
    "PF02 PF09 PF10 PF11 PF13 PF14 PF16 PF17 PF18 PF19 PF20 PF22 PF27 PF29 PF30 PF31 PF32 PF37 PF39 PF41 PF42 PF43 PF44 PF45 PF46 PF47 PF49 PF53".split()
)


def chosen(only=(), skip=(), path=True):
    """The checks to run, by number; path: whether there is a release path. IntactError names a number that there is none of."""
    known = {check.number for check in CHECKS}
    for number in list(only or ()) + list(skip or ()):
        if number not in known:
            raise IntactError("there is no pre-flight check %s; there are %s" % (number, ", ".join(sorted(known))))
    left = set(skip or ()) | (frozenset() if path else NEED_PATH)
    return [check for check in CHECKS if (not only or check.number in only) and check.number not in left]
