# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Are the disks well, and everything that is built on them (PF24): what an upgrade writes much on should not be about to die."""

from __future__ import annotations

import json
import re

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _machine

# SMART attributes that count what is lost for good (blocker from 1), and what a disk replaced from its reserve.
LOST = {197: "sectors that could not be read", 198: "sectors that could not be corrected"}
REPLACED = {5: "sectors replaced", 187: "errors that could not be corrected"}
# How the kernel names a device that failed; floppies and CD drives fail without a disk in them.
KERNEL = re.compile(
    r"(?:I/O error, dev (?P<a>\w+)|Buffer I/O error on (?:dev|device) (?P<b>[\w-]+)|EXT4-fs error \(device (?P<c>[\w-]+)\)"
    r"|XFS \((?P<d>[\w-]+)\): (?:Corruption|[Mm]etadata|log I/O error)|BTRFS (?:error|critical) \(device (?P<e>[\w-]+)|md/raid\S* ?(?P<f>md\w+): Disk failure)"
)
SILENT = re.compile(r"^(fd|sr|loop|ram|zram|nbd)\d")


def health(context):
    """PF24: no disk, array or file system says that it is failing."""
    found = _ext(context) + _btrfs(context) + _zfs(context)
    if context.container():
        evidence = "they belong to the machine below this %s container" % context.container()
        return found + [Finding("disks.health.unseen", "info", "disks", "disks, arrays and the kernel's log can't be judged here", evidence)]
    return found + _arrays(context) + _smart(context) + _kernel_log(context)


def _sick(kind, subject, title, evidence, remedy, severity="blocker"):
    return Finding("disks.health.%s" % kind, severity, subject, title, evidence, remedy)


def _ext(context):
    """Errors that ext4 keeps in its superblock until somebody checks it."""
    host, found = context.host, []
    for subject, item in sorted(context.items("disks").items()):
        if not str(item.get("type", "")).startswith("ext"):
            continue
        name = host.realpath(item["path"]).rsplit("/", 1)[-1]
        count = host.text("/sys/fs/ext4/%s/errors_count" % name).strip()
        if not count and not item.get("mounts") and not context.container() and host.which("dumpe2fs") and host.exists(item["path"]):
            told = host.run(["dumpe2fs", "-h", item["path"]], check=False).text
            count = (re.findall(r"^FS Error count:\s+(\d+)", told, re.M) or ["0"])[0]
        if count and int(count):
            where = ", ".join(item.get("mounts") or []) or "not mounted"
            remedy = "look at the disk first (smartctl -a); then unmount it and run e2fsck -f %s, which also clears the count" % item["path"]
            found.append(_sick("filesystem", subject, "the file system has recorded errors", "%s errors on %s (%s)" % (count, item["path"], where), remedy))
    return found


def btrfs_errors(text):
    """{device: {counter: number}} of what is not zero in `btrfs device stats`. Pure."""
    out = {}
    for device, counter, number in re.findall(r"^\[(.+)\]\.(\w+)\s+(\d+)$", text, re.M):
        if int(number):
            out.setdefault(device, {})[counter] = int(number)
    return out


def _btrfs(context):
    found, done = [], set()
    for _subject, item in sorted(context.items("disks").items()):
        if item.get("type") != "btrfs" or not item.get("mounts") or item.get("uuid") in done or not context.host.which("btrfs"):
            continue
        done.add(item.get("uuid"))
        asked = context.host.run(["btrfs", "device", "stats", item["mounts"][0]], check=False)
        for device, counters in sorted(btrfs_errors(asked.text).items()):
            told = ", ".join("%s %d" % pair for pair in sorted(counters.items()))
            remedy = "btrfs scrub start -B %s; replace the disk if errors come back; btrfs device stats -z clears what is settled" % item["mounts"][0]
            found.append(_sick("filesystem", escape(device), "btrfs has counted errors on this device", told, remedy))
    return found


def _zfs(context):
    if not context.host.which("zpool"):
        return []
    asked = context.host.run(["zpool", "status", "-x"], check=False)
    if asked.rc != 0 or re.search(r"all pools are healthy|no pools available", asked.text):
        return []
    name = (re.findall(r"^\s*pool: (\S+)", asked.text, re.M) or ["zpool"])[0]
    state = (re.findall(r"^\s*state: (\S+)", asked.text, re.M) or ["unknown"])[0]
    return [_sick("array", name, "the ZFS pool is not healthy", "state %s" % state, "zpool status -v says what; replace what failed and wait for the resilver")]


def arrays(text):
    """[(array, what is wrong, [failed members])] of /proc/mdstat; a check that runs is not wrong. Pure."""
    out = []
    for name, line, rest in re.findall(r"^(md\S+) : (.*)\n((?:[ \t]+.*\n?)*)", text, re.M):
        failed = re.findall(r"(\S+)\[\d+\](?:\(\w\))*\(F\)", line)
        state = re.search(r"\[(\d+)/(\d+)\] \[([U_]+)\]", rest)
        work = re.search(r"(recovery|resync|reshape)\s*=\s*([\d.]+%)", rest)
        if line.startswith("inactive"):
            out.append((name, "it is not running", failed))
        elif (state and "_" in state.group(3)) or failed:
            words = "%s of %s members" % (state.group(2), state.group(1)) if state else "a member failed"
            out.append((name, words + (", %s %s" % work.groups() if work else ""), failed))
        elif work:
            out.append((name, "%s %s" % work.groups(), failed))
    return out


def _arrays(context):
    found = []
    for name, wrong, failed in arrays(context.host.text("/proc/mdstat")):
        rebuilding = re.match(r"(recovery|resync|reshape)", wrong)
        remedy = "mdadm --detail /dev/%s; replace the member (mdadm /dev/%s --add ...), and wait until cat /proc/mdstat shows all of them" % (name, name)
        evidence = wrong + ("; failed: " + ", ".join(failed) if failed else "")
        title = "the array is being rebuilt" if rebuilding else "the array is not whole"
        found.append(_sick("array", "/dev/" + name, title, evidence, "wait until /proc/mdstat shows no more work" if rebuilding else remedy))
    return found


def smart(document):
    """[(severity, words)] of what a disk says in `smartctl -j -H -A`, None when it says nothing about its health. Pure."""
    passed = (document.get("smart_status") or {}).get("passed")
    nvme = document.get("nvme_smart_health_information_log") or {}
    table = (document.get("ata_smart_attributes") or {}).get("table") or []
    if passed is None and not nvme and not table:
        return None
    out = [("blocker", "the disk itself says that it is failing")] if passed is False else []
    for row in table:
        raw = int((row.get("raw") or {}).get("value") or 0)
        if row.get("when_failed") == "now":
            out.append(("blocker", "%s is below its threshold" % row.get("name")))
        elif row.get("id") in LOST and raw:
            out.append(("blocker", "%d %s" % (raw, LOST[row["id"]])))
        elif row.get("id") in REPLACED and raw:
            out.append(("warning", "%d %s" % (raw, REPLACED[row["id"]])))
    if nvme.get("critical_warning"):
        out.append(("blocker", "critical warning %#x" % nvme["critical_warning"]))
    if nvme.get("available_spare", 100) < nvme.get("available_spare_threshold", 0):
        out.append(("blocker", "%d %% of its reserve is left" % nvme["available_spare"]))
    if nvme.get("media_errors"):
        out.append(("warning", "%d media errors" % nvme["media_errors"]))
    if nvme.get("percentage_used", 0) >= 100:
        out.append(("warning", "%d %% of its rated life is used" % nvme["percentage_used"]))
    if document.get("scsi_grown_defect_list"):
        out.append(("warning", "%d grown defects" % document["scsi_grown_defect_list"]))
    return out


def _json(result):
    try:
        return json.loads(result.text or "{}")
    except ValueError:
        return {}


def _smart(context):
    host = context.host
    known = {item["path"]: subject for subject, item in sorted(context.items("disks").items()) if item.get("kind") == "disk"}
    virtual = _machine.hypervisor(context)
    if not known:
        return []
    if not host.which("smartctl"):
        if virtual:
            return []
        remedy = "apt-get install --no-install-recommends smartmontools, then run check-host again"
        return [_sick("unasked", "disks", "nobody asked the disks how they are", "smartctl is not installed", remedy, "warning")]
    devices = [(entry["name"], entry.get("type", "")) for entry in _json(host.run(["smartctl", "--scan", "-j"], check=False)).get("devices") or []]
    devices += [(path, "") for path in known if path not in [name for name, _type in devices]]
    found, mute = [], []
    for name, kind in devices:
        try:
            document = _json(host.run(["smartctl", "-j", "-i", "-H", "-A"] + (["-d", kind] if kind else []) + [name], timeout=60, check=False))
        except IntactError as exc:
            found.append(_sick("smart", known.get(name, name), "the disk does not answer", str(exc), "replace it before anything is upgraded"))
            continue
        told = smart(document)
        if told is None:
            mute.append(name)
            continue
        if told:
            severity = "blocker" if any(grade == "blocker" for grade, _words in told) else "warning"
            label = " ".join(str(document.get(key)) for key in ("model_name", "serial_number") if document.get(key))
            evidence = "%s (%s): %s" % (name, label, "; ".join(words for _grade, words in told)) if label else "; ".join(words for _grade, words in told)
            remedy = "replace the disk first, let its array rebuild or restore it, then run check-host again"
            found.append(_sick("smart", known.get(name, name), "the disk is not well", evidence, remedy, severity))
    if mute and not virtual:
        remedy = "behind a RAID controller: smartctl -d megaraid,N (or the vendor's tool) by hand, and waive this with what it said"
        found.append(_sick("mute", ", ".join(mute), "these disks do not tell how they are", "smartctl found no health status", remedy, "warning"))
    return found


def kernel_errors(text, present):
    """{device: (number of lines, the last one)} of a kernel log's errors on devices that are still there. present: kernel names. Pure."""
    out = {}
    for line in text.splitlines():
        told = KERNEL.search(line)
        name = next((value for value in told.groups() if value), "") if told else ""
        if not name or SILENT.match(name) or not any(name == disk or name.startswith(disk) for disk in present):
            continue
        out[name] = (out.get(name, (0, ""))[0] + 1, line.strip())
    return out


def _kernel_log(context):
    host = context.host
    log = host.run(["dmesg"], check=False).text if host.which("dmesg") else ""
    if not log and host.which("journalctl"):
        log = host.run(["journalctl", "-k", "-b", "-q", "--no-pager", "-o", "cat"], check=False).text
    if not log:
        return [_sick("log", "kernel log", "nobody could read the kernel's log", "dmesg and the journal are empty", "dmesg as root should show it", "warning")]
    present = {host.realpath(item["path"]).rsplit("/", 1)[-1] for item in context.items("disks").values() if item.get("path")}
    remedy = "smartctl -a and the cable first; what the disk holds is backed up and proven again before anything is upgraded"
    return [
        _sick(
            "kernel",
            "/dev/" + name,
            "the kernel reports errors on this device",
            "%d lines since the start, the last: %s" % (number, escape(line)[:300]),
            remedy,
        )
        for name, (number, line) in sorted(kernel_errors(log, present).items())
    ]
