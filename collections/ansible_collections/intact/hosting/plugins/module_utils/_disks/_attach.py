# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Attach a legacy disk without a write to it, and detach it: every step may be the last one, and the next run makes it whole or takes it away."""

from __future__ import annotations

import os
from dataclasses import dataclass

from ansible_collections.intact.hosting.plugins.module_utils._disks import _block, _clear, _hold, _identified, _layout, _map, _mounts, _overlay, _raise, _replay
from ansible_collections.intact.hosting.plugins.module_utils._disks._state import State, others
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError


@dataclass
class Settings:
    """What legacy_volume was told; overlay_size in bytes. driver: auto or an overlay driver's name. root: a volume's name where a disk has several roots."""

    device: str
    token: str
    path: str
    mode: str = "replay"
    overlay_dir: str = "/var/lib/intact/overlays"
    overlay_size: int = 4 << 30
    luks_key_file: str = ""
    prove: bool = False
    check: bool = True
    driver: str = "auto"
    root: str = ""
    accept_older: bool = False


class Attachment:
    """One disk's. step: called with a name between any two steps; tests end the process there."""

    def __init__(self, settings, step=_clear.unwatched):
        self.settings, self.step = settings, step
        self.state = State(settings.overlay_dir, settings.token)
        self.findings = []
        if not settings.path.startswith("/") or os.path.normpath(settings.path) in ("/", "/mnt", "/usr", "/etc", "/var", "/home"):
            raise IntactError("path is %s: give a directory of its own, such as /var/lib/intact/legacy/old" % settings.path, path=settings.path)
        # As the kernel will name it, but for the last part: a link there is refused.
        whole = os.path.normpath(settings.path)
        self.path = os.path.join(os.path.realpath(os.path.dirname(whole)), os.path.basename(whole))

    def lines(self):
        """What is mounted of it now, one line each, for a diff."""
        return ["%s at %s" % (entry["fstype"], entry["target"]) for entry in _clear.mounts(self.state)]

    # present

    def present(self, check_mode=False):
        """Attach. {changed root mounts [{name of source target type mode}] device token findings sha256 {before}}."""
        nodes = _block.nodes(self.settings.device)
        _block.probe(self.settings.device)
        newer = _identified.check(self.settings.device, self.settings.token)
        if not check_mode:
            self.state.lock()
        try:
            return self._present(nodes, newer, check_mode)
        finally:
            self.state.unlock()

    def _present(self, nodes, newer, check_mode):
        state, device = self.state, self.settings.device
        held = dict(state.load())
        twins = [twin for twin in others(state.base, nodes[0]["number"], state.id) if _clear.leftovers(twin)]
        if twins:
            raise IntactError("%s is attached under another token, %s: detach that first" % (device, twins[0].document["token"]), device=device)
        self._only_one(held, nodes)
        why = self._incomplete(held, nodes)
        if not why:
            return self._told(False, held)
        # What is ours and half is no use by others: it is taken away first, and what it remembers stays.
        if not check_mode:
            _clear.clear(state)
            _hold.free(device, nodes)
        elif not _clear.leftovers(state):
            _hold.free(device, nodes)
        driver = _raise.choose(state, self.settings)
        volumes = self._volumes(nodes[0]["path"], newer)
        if driver.writable:
            _overlay.room(state, self.settings.overlay_size)
        if check_mode:
            return self._foretold(volumes, nodes, driver)
        try:
            return self._build(nodes, held, driver, volumes)
        except BaseException as exc:
            cause = self._cause(exc, nodes[0]["path"])
            self._undo(nodes, cause)
            if cause is exc:
                raise
            raise cause from exc

    def _only_one(self, held, nodes):
        """Copies of a disk without a serial have one token: who names the other one than is attached is told so."""
        moved = held.get("device") and held["device"] != nodes[0]["path"] and held.get("number") != nodes[0]["number"]
        if moved and _clear.leftovers(self.state) and _same_disk_there(held, self.settings.token):
            raise IntactError(
                "%s and %s have the same token, and %s is attached: name that one, or detach it first" % (nodes[0]["path"], held["device"], held["device"]),
                device=nodes[0]["path"],
            )

    def _build(self, nodes, held, driver, volumes):
        state, settings = self.state, self.settings
        state.make()
        state.save(
            schema=1,
            token=settings.token,
            device=nodes[0]["path"],
            number=nodes[0]["number"],
            mode=settings.mode,
            path=self.path,
            status="building",
            driver=driver.name,
            overlay_size=settings.overlay_size,
            read_only=held.get("read_only") or {},
            sha256=held.get("sha256") or {},
            made=[],
            mounts=[],
            findings=[],
        )
        self.step("recorded")
        _hold.quiet(state)
        self.step("quiet")
        _hold.freeze(nodes, state)
        self.step("read-only")
        if settings.prove and not state.document["sha256"].get("before"):
            state.save(sha256={"before": _block.digest(nodes[0]["path"])})
            self.step("digest")
        driver.start(nodes[0]["path"], settings.overlay_size)
        self.step("overlay")
        shown = _raise.Raised(self, driver, volumes).run()
        _block.probe(nodes[0]["path"])
        state.save(status="attached", mounts=shown["mounts"], root=shown["root"], findings=[finding.as_dict() for finding in self.findings])
        self.step("attached")
        return self._told(True, state.document)

    def _cause(self, exc, path):
        """A disk that died explains whatever else was said; a read error is no traceback."""
        if not isinstance(exc, (IntactError, OSError)):
            return exc
        try:
            _block.probe(path)
        except IntactError as gone:
            return gone
        if isinstance(exc, OSError):
            said = "%s: %s" % (escape(str(exc.filename or "a file")), exc.strerror)
            return IntactError("%s can't be read everywhere (%s): make an image with legacy_image and attach that" % (path, said), device=path)
        return exc

    def _undo(self, nodes, exc):
        """Leave nothing after an error; where even that fails, say both."""
        try:
            _clear.clear(self.state)
            _hold.thaw(nodes, self.state)
            self.state.remove()
        except (IntactError, OSError) as more:
            if isinstance(exc, IntactError):
                exc.args = ("%s. What was made of it could not be taken away: %s" % (exc, more),)

    def _incomplete(self, held, nodes):
        """Why what is there is not the whole attachment, "" when it is: by what is mounted, looped and running."""
        if held.get("status") != "attached":
            return "not attached"
        if (held["path"], held["mode"]) != (self.path, self.settings.mode):
            return "attached at %s in mode %s" % (held["path"], held["mode"])
        if held.get("number") != nodes[0]["number"]:
            return "the disk came back under another number"
        if self.settings.prove and not (held.get("sha256") or {}).get("before"):
            return "no digest was taken before"
        there = {_mounts.path_of(entry): entry for entry in _clear.mounts(self.state)}
        for mount in held["mounts"]:
            entry = there.get(mount["target"])
            if entry is None or entry["source"] != mount["source"]:
                return "%s is not mounted" % mount["target"]
            if any(option not in entry["options"] for option in _mounts.SAFE):
                return "%s was remounted" % mount["target"]
            try:
                os.listdir(mount["target"])
            except OSError as exc:
                return "%s can't be read: %s" % (mount["target"], exc.strerror)
        if len(there) != len(held["mounts"]):
            return "more is mounted than there should be"
        if not all(_block.read_only(node["path"]) for node in nodes):
            return "the disk is writable"
        if held["driver"] in ("qemu-storage-daemon", "nbdkit") and not _hold.processes(self.state.directory):
            return "the overlay's program is gone"
        return ""

    def _volumes(self, path, newer):
        volumes = _map.read(path, _block.size(path), _block.sector(path), newer, self.settings.accept_older)
        if not volumes:
            raise IntactError("%s holds nothing that is known: no filesystem, volume group, mirror or encrypted volume" % path, device=path)
        return volumes

    def _told(self, changed, document):
        return {
            "changed": changed,
            "root": document.get("root") or "",
            "mounts": [{key: mount[key] for key in ("name", "of", "source", "target", "type", "mode")} for mount in document["mounts"]],
            "device": document["device"],
            "token": document["token"],
            "sha256": document.get("sha256") or {},
            "driver": document["driver"],
            "findings": list(document.get("findings") or ()),
        }

    def _foretold(self, volumes, nodes, driver):
        """What a run would show; where exactly depends on the old fstab, which lies on a disk that is not mounted."""
        mounts = [
            {
                "name": v.name,
                "of": _raise.named(nodes[0]["path"], v),
                "source": "",
                "target": _layout.beside(self.path, v),
                "type": v.type,
                "mode": self.settings.mode,
            }
            for v in volumes
            if v.type not in _replay.NOT_FILES and not v.refused
        ]
        told = {"mounts": mounts, "device": nodes[0]["path"], "token": self.settings.token, "driver": driver.name}
        return self._told(True, told)

    # absent

    def absent(self, check_mode=False):
        """Detach. {changed device token findings sha256 {before after} left [what was there]}."""
        there, nodes = self._still_there()
        if not check_mode and (_clear.leftovers(self.state) or self.state.locked()):
            self.state.lock()
        try:
            return self._absent(there, nodes, check_mode)
        finally:
            self.state.unlock()

    def _still_there(self):
        """(whether the disk of the token is at device, its nodes). Another disk there is refused unless the right one's attachment is still to be cleaned."""
        device = self.settings.device
        try:
            nodes = _block.nodes(device)
            _block.probe(device)
        except IntactError as exc:
            if _clear.leftovers(self.state):
                self._find("gone", "warning", "%s is gone" % device, str(exc), "What was shown of it is taken away; its last digest can't be taken")
            return False, []
        try:
            _identified.check(device, self.settings.token)
        except IntactError as exc:
            if not _clear.leftovers(self.state):
                raise
            self._find("another", "warning", "%s is not the disk that was attached" % device, str(exc), "It was left alone; only the attachment was taken away")
            return False, []
        return True, nodes

    def _absent(self, there, nodes, check_mode):
        state, settings = self.state, self.settings
        document = state.load()
        if there:
            self._only_one(document, nodes)
        left = _clear.leftovers(state)
        result = {"changed": bool(left), "device": settings.device, "token": settings.token, "left": left, "sha256": dict(document.get("sha256") or {})}
        result.update(root="", mounts=[], driver=document.get("driver", ""))
        if left and not check_mode:
            if document:
                state.save(status="detaching")
            self.step("detaching")
            _clear.clear(state, self.step)
            if settings.prove and there:
                self._prove(nodes[0]["path"], result["sha256"])
                self.step("proved")
            if there:
                _hold.thaw(nodes, state)
            self.step("writable")
            state.remove()
            self.step("forgotten")
        return dict(result, findings=[finding.as_dict() for finding in self.findings])

    def _prove(self, path, digests):
        digests["after"] = _block.digest(path)
        before = digests.get("before")
        if not before:
            self._find("unproven", "warning", "Nothing proves that %s is unchanged" % path, "no digest was taken before", "Attach it with prove next time")
        elif before != digests["after"]:
            said = "sha256 %s before, %s after" % (before, digests["after"])
            self._find("changed", "blocker", "%s was changed while it was attached" % path, said, "Find out who wrote to it; do not trust it as evidence")

    def _find(self, what, severity, title, evidence, remedy):
        self.findings.append(Finding("legacy.disk.%s" % what, severity, escape(self.settings.device), title, evidence=evidence, remedy=remedy))


def _same_disk_there(held, token):
    """Whether the device that an attachment was made of is still that disk."""
    try:
        _block.probe(held["device"])
        _identified.check(held["device"], token)
    except IntactError:
        return False
    return True
