# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""From an overlay to mounts: block devices for every volume, journals replayed, root found, everything shown where the old system had it."""

from __future__ import annotations

import os

from ansible_collections.intact.hosting.plugins.module_utils._command import run, which
from ansible_collections.intact.hosting.plugins.module_utils._disks import _block, _layout, _map, _mounts, _overlay, _overlay_dm, _replay
from ansible_collections.intact.hosting.plugins.module_utils._disks._overlay_qemu import StorageDaemon
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError

DRIVERS = (_overlay_dm.Snapshot, StorageDaemon, _overlay.Nbdkit)


def choose(state, settings):
    """The overlay driver: device-mapper where the kernel has it, else through FUSE; an IntactError that says what each one lacks."""
    if settings.mode == "raw":
        return _overlay.Direct(state)
    said = []
    for kind in DRIVERS:
        if settings.driver not in ("auto", kind.name):
            continue
        why = kind(state).lacks() or (kind is _overlay_dm.Snapshot and _block.is_file(settings.device) and "it needs a block device, and this is a file") or ""
        if not why:
            return kind(state)
        said.append("%s: %s" % (kind.name, why))
    raise IntactError(
        "this host can't make an overlay (%s): install qemu-utils and qemu-system-common (Debian), or nbdkit and libnbd-bin; mode raw shows a stale state"
        % "; ".join(said)
    )


class Raised:
    """One building of an attachment. owner: the Attachment."""

    def __init__(self, owner, driver, volumes):
        self.owner, self.driver, self.volumes = owner, driver, volumes
        self.state, self.settings, self.step = owner.state, owner.settings, owner.step
        self.raw = owner.settings.mode == "raw"
        self.sources, self._base, self._names = {}, None, 0

    def run(self):
        """{root mounts}: every volume that can be shown is mounted; those that can't are findings, and when none can, an IntactError."""
        ready = []
        for volume in self._opened():
            if volume.type in _replay.NOT_FILES and not volume.refused:
                continue
            try:
                why = volume.refused or _replay.refusal(volume.signature, self.raw)
                if why:
                    raise IntactError("%s (%s) is not shown: %s" % (volume.name, volume.type or "unknown", why), volume=volume.name)
                self._ready(volume)
                ready.append(volume)
            except IntactError as exc:
                # A disk that died or an overlay that is full is no volume's fault.
                _block.probe(self.state.document["device"])
                self._bounded()
                self._refuse(volume, exc)
        if not ready:
            said = "; ".join(f.evidence for f in self.owner.findings if f.severity == "blocker") or "only swap or the like"
            raise IntactError("nothing on %s can be shown: %s" % (self.settings.device, said), device=self.settings.device)
        return self._mounted(ready)

    def _refuse(self, volume, exc):
        title = "%s could not be shown" % volume.name
        self.owner.findings.append(
            Finding("legacy.volume.refused", "blocker", volume.name, title, evidence=str(exc), remedy="Do what the evidence says, or waive it")
        )

    def _bounded(self):
        if self.driver.writable and self.driver.full():
            size = _overlay.told(self.settings.overlay_size)
            raise IntactError(
                "the overlay of %s is full: give more with overlay_size; the disk is unchanged" % size, overlay_size=self.settings.overlay_size, full=True
            )

    def _ready(self, volume):
        """Its block device, its journal replayed and checked."""
        source = self._source(volume)
        self.step("source %s" % volume.name)
        if self.raw:
            self.owner.findings.append(_replay.stale(volume))
            return
        self.owner.findings += _replay.replay(volume, source, self._look(volume), self.settings.check)
        self._bounded()
        self.step("replayed %s" % volume.name)

    def _look(self, volume):
        directory = os.path.join(self.state.directory, "look", _map.safe(volume.name))
        os.makedirs(directory, mode=0o700, exist_ok=True)
        return directory

    def _source(self, volume):
        if volume.name not in self.sources:
            self.sources[volume.name] = self._mapped(volume)
        return self.sources[volume.name]

    def _mapped(self, volume):
        base = getattr(volume, "base", None)
        if base is None and volume.place:
            return _block.loop(self.state.view, volume.place[0], volume.place[1], writable=not self.raw)
        lacks = _overlay_dm.available("striped" if any(len(s[3]) > 1 for s in volume.segments) else "linear")
        if lacks:
            raise IntactError(
                "%s lies in %d pieces and %s: attach the disk on a system with device-mapper, such as a Debian or SystemRescue of one's own"
                % (volume.name, len(volume.segments), lacks),
                volume=volume.name,
            )
        base = base or self._whole()
        if volume.place:
            table = "0 %d linear %s %d\n" % (volume.place[1] // 512, base, volume.place[0] // 512)
        else:
            table = _map.table_of(volume, base)
        return _overlay_dm.create(self._name(), table, read_only=self.raw)

    def _name(self):
        self._names += 1
        return "intact-%s-%d" % (self.state.id, self._names)

    def _whole(self):
        """A block device of the whole overlay."""
        if self._base is None:
            self._base = self.state.view if _overlay_dm.is_block(self.state.view) else _block.loop(self.state.view, writable=not self.raw)
        return self._base

    def _opened(self):
        """The volumes, encrypted ones replaced by what is in them."""
        for volume in self.volumes:
            if not volume.luks or volume.refused:
                yield volume
                continue
            try:
                found = self._unlock(volume)
            except IntactError as exc:
                volume.refused = str(exc)
                found = [volume]
            yield from found

    def _unlock(self, volume):
        key = self.settings.luks_key_file
        if not key:
            raise IntactError("%s is encrypted (LUKS %s): give luks_key_file" % (volume.name, volume.luks.get("uuid", "")), volume=volume.name)
        lacks = _overlay_dm.available("crypt") or ("" if which("cryptsetup") else "cryptsetup is not installed")
        if lacks:
            raise IntactError(
                "%s is encrypted and %s: attach the disk on a system with device-mapper and cryptsetup" % (volume.name, lacks), volume=volume.name
            )
        name = self._name()
        source = self._source(volume)
        argv = ["cryptsetup", "open", "--type", "luks", "--key-file", key] + (["--readonly"] if self.raw else [])
        run(argv + [source, name], timeout=600)
        node = "/dev/mapper/" + name
        self.step("unlocked %s" % volume.name)
        out = _map.inside(node, _block.size(node), volume.name + "-open")
        for inner in out:
            inner.base = node
        return out

    def _mounted(self, ready):
        roots = {}
        for volume in ready:
            directory = self._look(volume)
            _kind, more = self._show(volume, directory, ())
            self.step("looked %s" % volume.name)
            found = _layout.root_of(directory)
            subvolume = () if found or volume.type != "btrfs" else _at(directory)
            if subvolume:
                found = _layout.root_of(os.path.join(directory, subvolume[0].partition("=")[2]))
            if found:
                roots[volume.name] = dict(found, options=subvolume)
            self.owner.findings += [finding for finding in more if finding not in self.owner.findings]
            _mounts.unmount(directory)
        name = _layout.choose(roots, self.settings.root)
        by_name = {volume.name: volume for volume in ready}
        planned, rest = _layout.plan(by_name[name], roots[name]["fstab"], ready) if name else ([], ready)
        self.mounts = []
        for volume, target, options in planned:
            self._place(volume, target, options or (roots[name]["options"] if target == "/" else ()))
        for volume in rest:
            self._mount(volume, _layout.beside(self.owner.path, volume), ())
            if name:
                self.owner.findings.append(_layout.unnamed(volume, _layout.beside(self.owner.path, volume), "no line of the old fstab names it"))
        self._private()
        return {"root": self.owner.path if name else "", "mounts": self.mounts}

    def _place(self, volume, target, options):
        if target == "/":
            self._mount(volume, self.owner.path, options)
            return
        place = _layout.resolve(self.owner.path, target)
        if place is None:
            place = _layout.beside(self.owner.path, volume)
            why = "the old fstab has it at %s, where the old root has no directory" % target
            self.owner.findings.append(_layout.unnamed(volume, place, why))
        if any(mount["target"] == place for mount in self.mounts):
            return
        self._mount(volume, place, options)

    def _mount(self, volume, target, options):
        """Record first, then mount: who is killed in between leaves a record of nothing, never a mount without one."""
        source = self._source(volume)
        state = self.state
        if target == self.owner.path or _mounts.below(target, self.owner.path + ".volumes"):
            state.save(made=_mounts.directory(target) + list(state.document["made"]))
        record = {"name": volume.name, "of": named(self.state.document["device"], volume), "target": target, "mode": "raw" if self.raw else "replay"}
        state.save(mounts=state.document["mounts"] + [dict(record, type=volume.type if _replay.known(volume.type) else "fuse", source=source)])
        self.step("before %s" % target)
        kind, _more = self._show(volume, target, options, source)
        entry = [e for e in _mounts.table() if _mounts.path_of(e) == target][-1]
        self.mounts.append(dict(record, type=kind, source=entry["source"]))
        if kind == "fuse":
            self.mounts[-1]["mode"] = "raw"
        self.step("mounted %s" % target)

    def _show(self, volume, target, options, source=None):
        return _replay.show(volume, source or self._source(volume), target, self.raw, options)

    def _private(self):
        """Old owners' numbers belong to other people here: nobody but root may walk in."""
        parent = os.path.dirname(self.owner.path)
        if self.mounts and os.stat(parent).st_mode & 0o005 and parent not in ("/root",):
            said = "%s is open to everybody (%s)" % (parent, oct(os.stat(parent).st_mode & 0o777))
            self.owner.findings.append(
                Finding(
                    "legacy.path.open",
                    "warning",
                    self.owner.path,
                    "Users of this host can walk into the old disk, where their numbers belong to others",
                    evidence=said,
                    remedy="Choose a path in a directory of mode 0700, such as /var/lib/intact/legacy",
                )
            )


def named(device, volume):
    """The volume as an operator would name it."""
    if volume.kind == "partition" and volume.number:
        return "%s%s%d" % (device, "p" if device[-1].isdigit() else "", volume.number)
    return device if volume.kind == "disk" else "%s (%s)" % (device, volume.name)


def _at(directory):
    """The subvolume that installers put the root into, as a mount option."""
    return next((["subvol=" + name] for name in ("@", "root", "@rootfs") if _layout.root_of(os.path.join(directory, name))), ())
