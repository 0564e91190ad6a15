# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Is there room for the real transaction: bytes, inodes, /boot, and what lies in /tmp (PF13, PF14, PF15, PF16)."""

from __future__ import annotations

import math
import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

MARGIN = 1.2
TREES = ("/", "/boot", "/home", "/srv", "/tmp", "/usr", "/var", "/var/cache/apt/archives", "/var/lib", "/var/log", "/var/spool")


def size(count):
    """Bytes as an operator reads them."""
    for unit, step in (("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)):
        if count >= step:
            return "%.1f %s" % (count / step, unit)
    return "%d B" % count


def needs(plan, device):
    """{device: [mounts], bytes} of a plan: growth summed per filesystem, a mount and its bind being one. Pure.

    device(path) gives the filesystem's number. Returns {number: (shortest mount, bytes)}.
    """
    out = {}
    for mount, growth in sorted((plan.get("disk_bytes") or {}).items()):
        number = device(mount)
        known = out.get(number, (mount, 0))
        out[number] = (min(known[0], mount, key=len), known[1] + max(0, int(growth)))
    return out


def transaction(context):
    """PF13: every filesystem has room for what this transaction really writes there, and a fifth more."""
    if not context.plan:
        return [
            Finding(
                id="space.unknown",
                severity="blocker",
                subject="upgrade plan",
                title="there is no plan, so nobody knows how much room the upgrade needs",
                remedy="clear the findings of the plan first, then run check-host again",
            )
        ]
    if not context.plan.get("disk_bytes"):
        return (
            [
                Finding(
                    id="space.unknown",
                    severity="blocker",
                    subject="upgrade plan",
                    title="the plan holds no sizes",
                    remedy="run upgrade_plan_info again; if it stays so, this is a defect",
                )
            ]
            if context.planned("upgrade")
            else []
        )
    found, notes = [], []
    for mount, growth in needs(context.plan, lambda path: context.host.space(path).device).values():
        wanted, free = math.ceil(growth * MARGIN), context.host.space(mount).bytes_free
        notes.append("%s needs %s, has %s" % (mount, size(wanted), size(free)))
        if free < wanted:
            found.append(
                Finding(
                    id="space.short",
                    severity="blocker",
                    subject=mount,
                    title="not enough room for this upgrade",
                    evidence="needs %s (downloads %s of all, a fifth added), free %s"
                    % (size(wanted), size(int(context.plan.get("download_bytes") or 0)), size(free)),
                    remedy="free %s on %s (apt-get clean; journalctl --vacuum-size=200M; old logs and backups), or extend it; downloads can go "
                    "elsewhere with Dir::Cache::archives" % (size(wanted - free), mount),
                    details={"needed": wanted, "free": free},
                )
            )
    if notes and not found:
        found.append(Finding(id="space.enough", severity="info", subject="filesystems", title="room for the transaction is there", evidence="; ".join(notes)))
    return found


def boot(context):
    """PF14: /boot has room for one more kernel and its initrd at the target's size."""
    if context.container():
        return [Finding(id="boot.unseen", severity="info", subject="/boot", title="not judged: a container boots nothing", evidence=context.container())]
    host, here = context.host, context.host.space("/boot")
    images = host.glob("/boot/vmlinuz-*")
    initrds = host.glob("/boot/initrd.img-*")
    if not images or not initrds:
        return [
            Finding(
                id="boot.empty",
                severity="warning",
                subject="/boot",
                title="no kernel or no initrd lies in /boot",
                remedy="find out from where this host boots before the upgrade changes it",
            )
        ]
    largest = max(host.lstat(p).st_size for p in initrds)
    wanted = int(largest * 1.5) + max(host.lstat(p).st_size for p in images) + (16 << 20)
    found = []
    if here.bytes_free < wanted:
        found.append(
            Finding(
                id="boot.short",
                severity="blocker",
                subject="/boot",
                title="no room for the target's kernel",
                evidence="needs %s (initrd %s, half as much again, and the kernel), free %s, %d kernels there"
                % (size(wanted), size(largest), size(here.bytes_free), len(images)),
                remedy="apt-get autoremove --purge removes old kernels; MODULES=dep in /etc/initramfs-tools/initramfs.conf makes smaller initrds",
            )
        )
    minimum = (context.release_path.get("boot_minimum") or {}).get("size")
    if minimum and here.device != host.space("/").device and here.bytes_total < int(minimum):
        found.append(
            Finding(
                id="boot.small",
                severity="warning",
                subject="/boot",
                title="the filesystem is smaller than the release notes ask for",
                evidence="%s of %s" % (size(here.bytes_total), size(int(minimum))),
                remedy="keep only two kernels there, or extend it before the upgrade",
            )
        )
    return found


def inodes(context):
    """PF15: at least one in twenty inodes is free wherever packages write."""
    found, seen = [], set()
    for path in TREES:
        if not context.host.exists(path):
            continue
        here = context.host.space(path)
        if here.device in seen or not here.inodes_total:
            continue
        seen.add(here.device)
        if here.inodes_free * 20 < here.inodes_total:
            found.append(
                Finding(
                    id="space.inodes",
                    severity="blocker",
                    subject=path,
                    title="hardly any inodes are left",
                    evidence="%d of %d free" % (here.inodes_free, here.inodes_total),
                    remedy="find %s -xdev -printf '%%h\\n' | sort | uniq -c | sort -n | tail shows where the files are: clear sessions and caches" % path,
                )
            )
    return found


# What programs put there for a moment is no data: temporary directories of daemons, sockets that a start makes anew.
_TRANSIENT = re.compile(
    r"(tmpdir|tmp_dir|temp_dir|temp_path|TMPDIR|TMP=|TEMP=|upload_tmp|client_body_temp|tmp-dir|ReadWritePaths|InaccessiblePaths|PrivateTmp|open_basedir)", re.I
)


def temporary(context):
    """PF16: nothing in /tmp has to survive: the target release mounts a tmpfs there and empties it at each start."""
    host = context.host
    mounts = {line.split()[1]: line.split()[2] for line in host.text("/proc/mounts").splitlines() if len(line.split()) > 2}
    if mounts.get("/tmp") == "tmpfs" or context.release_path.get("tmp_is_tmpfs") is False:
        return []
    if host.realpath("/etc/systemd/system/tmp.mount") == "/dev/null" or re.search(r"(?m)^[^#\s]\S*\s+/tmp\s", host.text("/etc/fstab")):
        return []
    found = []
    asked = host.run(
        ["grep", "-rIsE", "--exclude-dir=apt", "--exclude-dir=ssl", "--exclude-dir=alternatives", "(^|[^[:alnum:]_./-])/tmp/[[:alnum:]_.-]+", "/etc"],
        timeout=60,
        check=False,
    )
    uses = {}
    for line in asked.text.splitlines():
        path, _sign, text = line.partition(":")
        body = text.strip()
        if body and body[0] not in "#;" and not body.startswith("//") and not _TRANSIENT.search(body):
            uses.setdefault(path, body)
    distributed = owned(context, sorted(uses))
    for path, body in sorted(uses.items()):
        if path not in distributed:
            target = re.search(r"/tmp/[\w./-]+", body).group(0)
            found.append(
                Finding(
                    id="tmp.configured",
                    severity="warning",
                    subject=path,
                    title="a configuration relies on %s" % target,
                    evidence="from %s on, /tmp is emptied at every start" % context.target(),
                    remedy="move it below /var/lib or /var/tmp, or mask tmp.mount before the upgrade",
                )
            )
    opened = host.open_below("/tmp/")
    kept = {path: name for path, name in opened.items() if not re.search(r"/(systemd-private-|ansible|\.ansible|tmp[\w]{6,}|#sql|ib[\w]{6})", path)}
    for path, name in sorted(kept.items()):
        found.append(
            Finding(
                id="tmp.open",
                severity="warning",
                subject=path,
                title="%s works on a file in /tmp" % name,
                evidence="from %s on, /tmp is emptied at every start" % context.target(),
                remedy="let %s keep it below /var/lib or /var/tmp" % name,
            )
        )
    if context.cache.startswith(("/tmp/", "/run/", "/dev/shm/")):
        found.append(
            Finding(
                id="tmp.state",
                severity="blocker",
                subject=context.cache,
                title="Intact's own state would not survive a reboot",
                remedy="set preflight_cache_dir below /var/lib",
            )
        )
    return found


def owned(context, paths):
    """Those paths that a package owns and nobody edited: what the distribution ships, it takes care of itself."""
    if not paths:
        return set()
    text = context.once("conffiles", lambda: context.host.run(["dpkg-query", "-W", "-f", "${Conffiles}\n"]).text)
    sums = dict(re.findall(r"(?m)^ (/\S+) ([0-9a-f]{32})", text))
    known = [path for path in paths if path in sums]
    if not known:
        return set()
    asked = context.host.run(["md5sum", "--"] + known, check=False)
    now = {line[34:]: line[:32] for line in asked.text.splitlines() if len(line) > 34}
    return {path for path in known if now.get(path) == sums[path]}
