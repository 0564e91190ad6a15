# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""QEMU's control socket: commands as they come, and disks that are plugged and pulled while the machine runs."""

from __future__ import annotations

import json
import socket
import time
from pathlib import Path


class QmpError(Exception):
    """QEMU refused a command or does not answer; the message has its words."""


class Qmp:
    def __init__(self, path: Path, seconds: float = 20) -> None:
        end = time.monotonic() + seconds
        while True:
            self.socket = socket.socket(socket.AF_UNIX)
            try:
                self.socket.connect(str(path))
                break
            except OSError as exc:
                self.socket.close()
                if time.monotonic() > end:
                    raise QmpError(f"QEMU's control socket {path} does not answer: {exc}") from exc
                time.sleep(0.1)
        self.socket.settimeout(60)
        self.stream = self.socket.makefile("r", encoding="utf-8")
        self.events: list[dict] = []
        self._read()
        self.command("qmp_capabilities")

    def close(self) -> None:
        self.stream.close()
        self.socket.close()

    def _read(self) -> dict:
        try:
            line = self.stream.readline()
        except OSError as exc:
            raise QmpError(f"QEMU does not answer: {exc}") from exc
        if not line:
            raise QmpError("QEMU closed its control socket: it ended")
        return json.loads(line)

    def command(self, name: str, **arguments: object) -> object:
        """What the command returns; QmpError with QEMU's words when it is refused."""
        request = {"execute": name, **({"arguments": arguments} if arguments else {})}
        try:
            self.socket.sendall(json.dumps(request).encode() + b"\n")
        except OSError as exc:
            raise QmpError(f"{name}: QEMU is gone: {exc}") from exc
        while True:
            answer = self._read()
            if "event" in answer:
                self.events.append(answer)
            elif "error" in answer:
                raise QmpError(f"{name}: {answer['error'].get('desc', answer['error'])}")
            else:
                return answer.get("return")

    def plug(self, image: Path, serial: str, kind: str = "raw") -> None:
        """A disk with this serial appears in the running machine; the guest may write to it like to any disk."""
        node = "n-" + serial
        file = {"driver": "file", "filename": str(image), "discard": "unmap"}
        self.command("blockdev-add", **{"driver": kind, "node-name": node, "file": file, "cache": {"direct": False, "no-flush": True}})
        self.command("device_add", driver="scsi-hd", drive=node, id="d-" + serial, serial=serial, bus="scsi0.0")

    def pull(self, serial: str) -> None:
        """The disk disappears, as when its cable is pulled; what the guest still holds fails."""
        self.command("device_del", id="d-" + serial)
        end = time.monotonic() + 30
        while True:
            try:
                self.command("blockdev-del", **{"node-name": "n-" + serial})
                return
            except QmpError as exc:
                if time.monotonic() > end:
                    raise QmpError(f"disk {serial} could not be taken out: {exc}") from exc
                time.sleep(0.3)

    def written(self) -> dict[str, int]:
        """Bytes the guest wrote to each plugged disk since it was plugged, by serial: counted by QEMU, not by the guest."""
        found = {}
        for entry in self.command("query-blockstats"):
            name = entry.get("node-name") or ""
            if name.startswith("n-"):
                stats = entry["stats"]
                found[name[2:]] = stats["wr_bytes"] + stats.get("unmap_bytes", 0)
        return found

    def operations(self) -> dict[str, dict[str, int]]:
        """Counted requests of each plugged disk, by serial: {serial: {rd_bytes wr_bytes wr_operations unmap_bytes}}."""
        keys = ("rd_bytes", "wr_bytes", "wr_operations", "unmap_bytes", "unmap_operations")
        answer = self.command("query-blockstats")
        return {e["node-name"][2:]: {k: e["stats"].get(k, 0) for k in keys} for e in answer if (e.get("node-name") or "").startswith("n-")}
