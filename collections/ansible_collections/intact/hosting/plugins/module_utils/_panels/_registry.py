# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The drivers, in the order of detection: a panel that brings another one's files with it comes first."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import (
    cpanel,
    cyberpanel,
    directadmin,
    hestiacp,
    ispconfig,
    mailman,
    modoboa,
    none,
    plesk,
    plesk_old,
    postfixadmin,
    virtualmin,
)

# One import above and one entry here for each driver.
DRIVERS = (plesk, plesk_old, cpanel, directadmin, virtualmin, hestiacp, ispconfig, cyberpanel, modoboa, postfixadmin, mailman, none)
NONE = "none"


def driver(name):
    """A driver by its name."""
    for module in DRIVERS:
        if name == module.NAME:
            return module
    raise IntactError("there is no driver %s; there are %s" % (name, ", ".join(module.NAME for module in DRIVERS)), panel=name)


def detected(view):
    """[(driver, what it found)] of all panels that are there; a site without one is not among them."""
    looked = ((module, module.detect(view)) for module in DRIVERS if module.NAME != NONE)
    return [(module, found) for module, found in looked if found]


def chosen(view, names=()):
    """[(driver, what it found)] of these panels, or of all that are there, or of the site without a panel. A named one that is not there is an IntactError."""
    if not names:
        return detected(view) or [(module, module.detect(view)) for module in DRIVERS if module.NAME == NONE]
    out = []
    for name in names:
        found = driver(name).detect(view)
        if not found:
            raise IntactError("%s is not on this host" % driver(name).TITLE, panel=name)
        out.append((driver(name), found))
    return out
