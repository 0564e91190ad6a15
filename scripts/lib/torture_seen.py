# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a flight does, read from the files of its disk and from nothing else."""

from __future__ import annotations

import json
import os
import time
from pathlib import Path
from typing import Any

import torture_cuts

FLIGHT, OTHER = "torture-upgrade-1", "torture-upgrade-2"


class Seen:
    """What a flight's disk says of it."""

    def __init__(self, root: Path) -> None:
        self.root, self.flight = root, FLIGHT
        self.state: dict[str, Any] = {}
        self.counts: dict[tuple[str, str], int] = {}
        self.stirred = time.monotonic()
        self._offset = 0
        self._rest = b""
        self._read = (0, 0)

    def path(self, *parts: str) -> Path:
        return self.root.joinpath(*parts)

    @property
    def folder(self) -> Path:
        return self.path("var/lib/intact/upgrade", self.flight)

    @property
    def stage(self) -> str:
        return self.state.get("stage", "")

    @property
    def status(self) -> str:
        return self.state.get("status", "")

    def ended(self) -> set[str]:
        return {name for name, entry in self.state.get("stages", {}).items() if entry.get("status") in ("ok", "skipped")}

    def forget(self) -> None:
        """The disk is another one than before: a power cut took what was not synced."""
        self._offset, self._rest, self._read = 0, b"", (0, 0)

    def look(self) -> None:
        """Read what is new; what cannot be read stays as it was."""
        try:
            path = self.folder / "state.json"
            status = os.stat(path)
            if (status.st_ino, status.st_mtime_ns) != self._read:
                state = json.loads(path.read_bytes())
                if isinstance(state, dict) and "stages" in state:
                    self.state, self.stirred = state, time.monotonic()
                self._read = (status.st_ino, status.st_mtime_ns)
        except (OSError, ValueError):
            pass
        try:
            with self.path("var/log/dpkg.log").open("rb") as handle:
                if handle.seek(0, os.SEEK_END) < self._offset:
                    self._offset, self._rest = 0, b""
                handle.seek(self._offset)
                data = handle.read()
        except OSError:
            return
        self._offset += len(data)
        lines = (self._rest + data).split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            self.stirred = time.monotonic()
            event = torture_cuts.event_of(line.decode("utf-8", "replace"))
            if event:
                self.counts[(self.stage, event)] = self.counts.get((self.stage, event), 0) + 1
        if self.stage in ("download", "patch-source"):
            # the archive that is being fetched counts as well
            try:
                there = sum(name.endswith(".deb") for name in os.listdir(self.path("var/cache/apt/archives")))
                there += any(name.endswith(".deb") for name in os.listdir(self.path("var/cache/apt/archives/partial")))
            except OSError:
                return
            self.counts[(self.stage, "download")] = there
