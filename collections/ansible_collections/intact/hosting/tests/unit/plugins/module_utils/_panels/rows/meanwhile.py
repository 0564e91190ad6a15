# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What any host can do to an export: no room for it, and another one of ours that is being made."""

from __future__ import annotations

import functools

from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _homes, _panel_host, _ready


def room(here, free):
    """So many bytes are free, whoever asks and wherever."""
    usage = type("Usage", (), {"free": free})
    here.patch.setattr(_ready, "space", functools.partial(_ready.space, usage=lambda path: usage))
    here.patch.setattr(_homes, "free", lambda system, path: free)
    here.patch.setattr(_panel_host, "free", lambda view, path: (free, 50))


def no_room(here):
    """A cell's `before`: the disk has one MiB left."""
    room(here, 1 << 20)


def locked(here):
    """Another export of this panel is being made."""
    work, before = _export.begin(here.driver.NAME, "settings", str(here.folder)), here.close

    def close():
        work.close()
        if before:
            before()

    here.close = close
