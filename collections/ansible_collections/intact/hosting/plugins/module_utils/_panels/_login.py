# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The login by which a checkpoint asks the host's database server: the operator's, else the panel's own, else root's."""

from __future__ import annotations

import copy

from ansible_collections.intact.hosting.plugins.module_utils._files import write_atomic

OPTION = "mysql_defaults_file"


def view(driver, system, found, path):
    """The System, whose database questions are asked with that login. path: where an option file (0600) is written when the panel's login has none.

    A driver that knows one has login(system, found) -> _mysql_login.Login, or None.
    """
    if system.options.get(OPTION) or not hasattr(driver, "login"):
        return system
    known = driver.login(system, found)
    if not known or not (known.user or known.file):
        return system
    file = known.file
    if not file:
        write_atomic(path, text(known.user, known.environment().get("MYSQL_PWD", "")), 0o600)
        file = path
    out = copy.copy(system)
    out.options = dict(system.options, **{OPTION: file})
    return out


def text(user, password):
    """An option file."""
    lines = ["[client]"] + ['%s="%s"' % (name, _quoted(value)) for name, value in (("user", user), ("password", password)) if value]
    return ("\n".join(lines) + "\n").encode("utf-8", "surrogateescape")


def _quoted(value):
    return value.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")
