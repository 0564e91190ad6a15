# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""The settings in an account's archive that the panel made by itself: the archive is read to its last byte, and what is settings goes into one of ours."""

from __future__ import annotations

import os
import tarfile

from ansible_collections.intact.hosting.plugins.module_utils._files import escape, unescape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _compressed, _panel_host, _streams, _tar


def settings(view, path, target, name, wanted, below=""):
    """Write target (a tar.gz, 0600) of the members of the archive at path for which wanted(member) gives a name; "" leaves one out.

    name: what the archive is called in sentences. wanted may also give a function: the member is an archive itself, and that one is asked about what is in it.
    below: see _panel_host.take(). IntactError when any byte of it is not what it should be.
    """
    fd, why = _panel_host.held(view, path, below)
    if why:
        raise IntactError(why, path=path)
    with os.fdopen(fd, "rb") as source:
        out = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        with os.fdopen(out, "wb") as handle, tarfile.open(fileobj=handle, mode="w:gz", format=tarfile.PAX_FORMAT, compresslevel=6) as archive:
            reader = _streams.Reader(lambda: source.read(_streams.BLOCK))
            try:
                _members(reader, archive, wanted)
                reader.drain()
            except _streams.Broken as exc:
                raise IntactError("%s is damaged: %s" % (escape(name), exc.why), path=path) from exc


def _members(reader, archive, wanted):
    kind = _compressed.told(reader.peek())
    inner = _compressed.opened(kind, reader) if kind else reader
    try:
        if not _tar.told(inner.peek()):
            raise _streams.Broken("it is no archive: its first bytes say so")
        for member, what, size, body, _target in _tar.members(inner):
            to = wanted(member) if what == "file" else ""
            if callable(to):
                _members(body, archive, to)
            elif to:
                info = tarfile.TarInfo(os.fsdecode(unescape(to)))
                info.size, info.mode = size, 0o600
                archive.addfile(info, _Whole(body))
            body.drain()
        inner.drain()
    finally:
        if inner is not reader:
            inner.close()


class _Whole:
    """What tarfile reads a member from: a break is raised, and is not taken for its end."""

    def __init__(self, body):
        self._body = body

    def read(self, size):
        data = self._body.read(size)
        if len(data) < size:
            self._body.read(1)  # raises what broke
        return data
