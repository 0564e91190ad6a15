# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Crontabs of this host, read and replaced through crontab(1), which checks them and tells cron."""

from __future__ import annotations

import os
import re
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _cron_block


def install(system, user, tabs, ident, scratch):
    """{"added": [tab], "refused": what crontab says of the jobs when enabled, ""}: tabs as disabled blocks behind what the user's crontab has.

    scratch: a private directory, None to write nothing. Raises IntactError when the crontab can't be read or installed.
    """
    if not system.which("crontab"):
        raise IntactError("there are cron jobs on the old disk and crontab is not installed on this host: install cron (cronie), then run the phase again")
    live = current(system, user)
    fresh, added = _cron_block.merged(live, ident, tabs, user)
    if not added or scratch is None:
        return {"added": added, "refused": ""}
    refused = _checked(system, user, _cron_block.enabled(fresh), scratch)
    path = _written(scratch, fresh)
    try:
        system.run(["crontab", "-u", user, path], timeout=30)
    finally:
        os.unlink(path)
    there = current(system, user)
    if any(_cron_block.mark(_cron_block.END, ident, tab) not in there.split(b"\n") for tab in added):
        raise IntactError("crontab -u %s took the file, and crontab -l does not show it: is another tool writing it? Run the phase again" % user)
    return {"added": added, "refused": refused}


def current(system, user):
    """A user's crontab, b"" when there is none."""
    result = system.run(["crontab", "-u", user, "-l"], timeout=30, check=False)
    if result.rc == 0:
        return result.out
    if re.search(rb"no crontab for", result.err):
        return b""
    raise IntactError("the crontab of %s can't be read: %s" % (user, result.error), user=user)


def _checked(system, user, text, scratch):
    """What crontab says against a text, "" when nothing or when this crontab can't check without installing."""
    usage = system.run(["crontab", "-h"], timeout=30, check=False)
    said = usage.out + usage.err
    # cronie's -n is about clusters; only Vixie's descendants mean a dry run by it
    option = "-T" if re.search(rb"-T\b.*test", said) else "-n" if re.search(rb"-n\s+\(dry run", said) else None
    if option is None:
        return ""
    path = _written(scratch, text)
    try:
        words = [option, path] if option == "-T" else ["-u", user, option, path]
        result = system.run(["crontab"] + words, timeout=30, check=False)
    finally:
        os.unlink(path)
    return "" if result.rc == 0 else result.error.replace(path, "line")


def _written(scratch, text):
    fd, path = tempfile.mkstemp(prefix="crontab-", dir=scratch)
    with os.fdopen(fd, "wb") as handle:
        handle.write(text)
    return path
