# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Apache's modules whose name has a version in it (php8.2): the successor is switched on in the place of one that was on.

Debian's packages do not: the old one's script does nothing while Apache is not configured (apache2-maintscript-helper defers it), which leaves a
mods-enabled/php8.2.load without its library, and Apache does not start; the new one's leaves another PHP alone. Seen with libapache2-mod-php8.2 to 8.4.
"""

from __future__ import annotations

import os

ROOT = "/etc/apache2"
# What a maintainer's script switched on, the next one may switch off again.
BY_PACKAGE = "/var/lib/apache2/module/enabled_by_maint"


def enabled(root=ROOT):
    """Names of the modules that are on, sorted."""
    folder = os.path.join(root, "mods-enabled")
    return sorted(name[: -len(".load")] for name in os.listdir(folder) if name.endswith(".load")) if os.path.isdir(folder) else []


def todo(rules, before, now, available):
    """The pairs (old, new) that are to be switched, of a release path's apache_modules. Pure.

    before, now: names that were on when packages began to go, and that are. available: names that the packages have.
    """
    pairs = [(rule["from"], rule["to"]) for rule in rules if rule["from"] in before and rule["to"] in available]
    return [(old, new) for old, new in pairs if old in now or new not in now]


def switch(host, rules, before, root=ROOT):
    """Do it; returns the names that were switched on. The new one first: a cut in between leaves something to go on with."""
    folder = os.path.join(root, "mods-available")
    available = {name[: -len(".load")] for name in os.listdir(folder) if name.endswith(".load")} if os.path.isdir(folder) else set()
    done = []
    for old, new in todo(rules, before, enabled(root), available):
        options = ["-q", "-m"] if os.path.lexists(os.path.join(BY_PACKAGE, old)) else ["-q"]
        refused = host.run(["a2enmod", *options, new], check=False)
        if new not in enabled(root):
            # the old one is left as it is; the post-flight names what is away
            why = (refused.error.strip().splitlines() or ["status %d" % refused.rc])[-1]
            host.memory.journal("note", text="Apache's module %s could not be switched on in the place of %s: %s" % (new, old, why))
            continue
        _off(host, old, options, root)
        host.memory.journal("note", text="Apache's module %s is on in the place of %s" % (new, old))
        done.append(new)
    if done and host.unit_state("apache2.service") in ("active", "failed", "activating"):
        test = host.run(["apache2ctl", "configtest"], check=False)
        if test.rc:
            # target-files and the post-flight name it; what runs goes on running
            host.memory.journal("note", text="Apache refuses its configuration: %s" % (test.error.strip().splitlines() or ["no word"])[0])
            return done
        host.systemctl("reset-failed", "apache2.service", check=False)
        host.systemctl("restart", "apache2.service", check=False, timeout=300)
    return done


def _off(host, old, options, root):
    """Switch a module off; by its links when its package, and so what a2dismod looks at, is gone."""
    host.run(["a2dismod", "-f", *options, old], check=False)
    for ending in (".load", ".conf"):
        path = os.path.join(root, "mods-enabled", old + ending)
        if os.path.islink(path):
            host.keep(path, "before")
            os.unlink(path)
