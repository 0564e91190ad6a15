# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Before a legacy disk is touched: is it free, and nothing may arm it. Its devices are made read-only, and are given back as they were."""

from __future__ import annotations

import contextlib
import errno
import os

from ansible_collections.intact.hosting.plugins.module_utils._command import run, which
from ansible_collections.intact.hosting.plugins.module_utils._disks import _block, _mounts
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

RULES = "/run/udev/rules.d"
# With the first flag udev does not even look what is on the device: no link by UUID or label, no RAID, no volume group, no btrfs scan follows.
RULE = """# intact.hosting legacy_volume: what is shown of a legacy disk starts nothing
SUBSYSTEM=="block", KERNEL=="loop*", ATTR{{loop/backing_file}}=="{directory}/*", GOTO="intact_quiet_{id}"
SUBSYSTEM=="block", ENV{{DM_NAME}}=="intact-{id}*", GOTO="intact_quiet_{id}"
SUBSYSTEM=="block", KERNEL=="dm-*", ATTR{{dm/name}}=="intact-{id}*", GOTO="intact_quiet_{id}"
GOTO="intact_end_{id}"
LABEL="intact_quiet_{id}"
ENV{{UDEV_DISABLE_PERSISTENT_STORAGE_RULES_FLAG}}="1", ENV{{DM_UDEV_DISABLE_OTHER_RULES_FLAG}}="1", ENV{{DM_UDEV_DISABLE_DISK_RULES_FLAG}}="1"
ENV{{DM_MULTIPATH_DEVICE_PATH}}="1", ENV{{SYSTEMD_READY}}="0", ENV{{UDISKS_IGNORE}}="1", OPTIONS+="nowatch"
LABEL="intact_end_{id}"
"""


def uses(nodes):
    """What uses a disk or its partitions: ["/dev/sdb1 is mounted at /x", ...]. nodes: _block.nodes()."""
    out, numbers, paths = [], {n["number"]: n["path"] for n in nodes}, {n["path"] for n in nodes}
    for entry in _mounts.table():
        source = entry["source"]
        if entry["root"] == "/" and (entry["device"] in numbers or (entry["fstype"] != "devtmpfs" and source in paths)):
            how = "read-only" if "ro" in entry["options"] else "read-write"
            out.append("%s is mounted at %s, %s" % (numbers.get(entry["device"], source), entry["target"], how))
    for line in (read_if_exists("/proc/swaps") or b"").decode("utf-8", "replace").splitlines()[1:]:
        if line.split() and line.split()[0] in paths:
            out.append("%s is used as swap" % line.split()[0])
    for node in nodes:
        base = os.path.join(_block.BLOCK, os.path.basename(os.path.realpath("/sys/dev/block/" + node["number"])), "holders")
        with contextlib.suppress(OSError):
            for holder in sorted(os.listdir(base)):
                said = (read_if_exists("/sys/class/block/%s/dm/name" % holder) or b"").decode("utf-8", "replace").strip()
                out.append("%s is part of /dev/%s%s" % (node["path"], holder, (" (%s)" % said) if said else ""))
    for loop, below in _block.loops().items():
        if below in paths and not _block.read_only(loop):
            out.append("%s is written through %s" % (below, loop))
    return out or _claimed(nodes)


def _claimed(nodes):
    """The kernel's own word, which also knows of other mount namespaces (containers, services)."""
    out = []
    for node in nodes:
        try:
            os.close(os.open(node["path"], os.O_RDONLY | os.O_EXCL | os.O_CLOEXEC))
        except OSError as exc:
            if exc.errno == errno.EBUSY:
                out.append("the kernel has %s in use, perhaps mounted in a container" % node["path"])
            elif exc.errno not in _block.GONE and not _block.is_file(node["path"]):
                raise
    return out


def free(device, nodes):
    """An IntactError that names each use of a disk that is not free."""
    found = uses(nodes)
    if found:
        raise IntactError(
            "%s is in use: %s. Unmount, swapoff, deactivate or stop that first, if it is the right disk at all" % (device, "; ".join(found)),
            device=device,
            uses=found,
        )


def freeze(nodes, state):
    """Make the disk and its partitions read-only. What each was is remembered first, and only the first time."""
    was = dict(state.document.get("read_only") or {})
    for node in nodes:
        was.setdefault(node["path"], _block.read_only(node["path"]))
    state.save(read_only=was)
    for node in nodes:
        if not _block.read_only(node["path"]):
            _block.set_read_only(node["path"], True)


def thaw(nodes, state):
    """Give back what freeze() took: only devices that were writable and are this disk's."""
    there = {node["path"] for node in nodes}
    for path, was in (state.document.get("read_only") or {}).items():
        if path in there and not was:
            _block.set_read_only(path, False)


def quiet(state):
    """Tell udev to leave the devices of this attachment alone. Where there is no udev, nothing is needed."""
    if os.path.isdir("/run/udev"):
        os.makedirs(RULES, exist_ok=True)
        write_atomic(_rule(state), RULE.format(directory=state.directory, id=state.id).encode(), 0o644)
        _reload()


def unquiet(state):
    """Take the rule back."""
    if os.path.exists(_rule(state)):
        os.unlink(_rule(state))
        _reload()


def _rule(state):
    return os.path.join(RULES, "01-intact-%s.rules" % state.id)


def _reload():
    if which("udevadm") and os.path.exists("/run/udev/control"):
        run(["udevadm", "control", "--reload"], timeout=30, check=False)


def processes(directory):
    """{pid: program} of the programs that serve this attachment: their command line names its directory. Never our own process or its parents."""
    out, own, wanted = {}, _ancestors(), os.fsencode(directory) + b"/"
    for pid in (entry for entry in os.listdir("/proc") if entry.isdigit()):
        if int(pid) in own:
            continue
        try:
            with open("/proc/%s/cmdline" % pid, "rb") as handle:
                words = handle.read().split(b"\0")
        except OSError:
            continue
        program = os.path.basename(words[0])
        if program in (b"qemu-storage-daemon", b"nbdkit", b"nbdfuse", b"grub-mount", b"ntfs-3g") and any(wanted in word for word in words[1:]):
            out[int(pid)] = escape(program)
    return out


def _ancestors():
    pid, out = os.getpid(), set()
    while pid > 1 and pid not in out:
        out.add(pid)
        stat = read_if_exists("/proc/%d/stat" % pid) or b""
        fields = stat.rpartition(b")")[2].split()
        pid = int(fields[1]) if len(fields) > 1 else 0
    return out
