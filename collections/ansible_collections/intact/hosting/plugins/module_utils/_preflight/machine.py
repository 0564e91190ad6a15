# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Does the target release still run on this machine: memory, processor, architecture, kernel (PF17, PF18), and the firmware's new place (PF11)."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

MIB = 1 << 20
BLOCK, WARN = 512 * MIB, 1024 * MIB
# Instruction sets of the levels of x86-64, as /proc/cpuinfo names them; each level needs those below it.
LEVELS = (
    ("x86-64-v1", "cx8 cmov fpu fxsr mmx sse sse2"),
    ("x86-64-v2", "cx16 lahf_lm popcnt pni sse4_1 sse4_2 ssse3"),
    ("x86-64-v3", "abm avx avx2 bmi1 bmi2 f16c fma movbe xsave"),
    ("x86-64-v4", "avx512f avx512bw avx512cd avx512dq avx512vl"),
)


def spare(meminfo, limit="", used="", stat=""):
    """Bytes of memory and swap that programs may still take. limit, used, stat: memory.max, .current and .stat of a control group, or version 1's. Pure."""
    held = {key: int(value) * 1024 for key, value in re.findall(r"^(\w+):\s+(\d+) kB", meminfo, re.M)}
    if "MemAvailable" not in held:
        return None
    free = held["MemAvailable"] + held.get("SwapFree", 0)
    if limit.strip().isdigit() and used.strip().isdigit():
        told = {key: int(value) for key, value in re.findall(r"^(\w+) (\d+)$", stat, re.M)}
        # the cache of files is given back when somebody needs it
        cache = sum(told.get("total_" + name, told.get(name, 0)) for name in ("inactive_file", "active_file"))
        free = min(free, int(limit) - int(used) + cache)
    return max(free, 0)


def memory(context):
    """PF17: enough memory and swap for the package manager's solver beside the services that run."""
    host, group, names = context.host, "/sys/fs/cgroup/memory.", ("max", "current", "stat")
    if not host.exists(group + "max"):
        group, names = "/sys/fs/cgroup/memory/memory.", ("limit_in_bytes", "usage_in_bytes", "stat")
    free = spare(host.text("/proc/meminfo"), *[host.text(group + name) for name in names])
    if free is None:
        return [Finding("memory.unread", "warning", "memory", "nobody could see how much memory is free", "/proc/meminfo does not say MemAvailable")]
    if free >= WARN:
        return []
    evidence = "%d MiB of memory and swap are free, %d MiB are %s" % (
        free // MIB,
        (BLOCK if free < BLOCK else WARN) // MIB,
        "needed" if free < BLOCK else "safe",
    )
    remedy = "stop what can be stopped"
    if context.container():
        remedy += ", or give the container more memory"
    else:
        remedy += ", or add swap for the window: fallocate -l 2G /swapfile && chmod 600 /swapfile && mkswap /swapfile && swapon /swapfile"
    title = "the upgrade may be killed in the middle for want of memory"
    return [Finding("memory.short", "blocker" if free < BLOCK else "warning", "memory", title, evidence, remedy)]


def level(cpuinfo):
    """The highest level of x86-64 that every processor has, "" when it is none. Pure."""
    every = [set(flags.split()) for flags in re.findall(r"^flags\s*:(.*)$", cpuinfo, re.M)]
    best = ""
    for name, flags in LEVELS:
        if not every or not all(set(flags.split()) <= have for have in every):
            break
        best = name
    return best


def processor(context):
    """PF18: the target release has this architecture, runs on this processor, and on this kernel where the kernel stays."""
    host, found = context.host, []
    machine = context.release_path.get("machine") or {}
    own = host.run(["dpkg", "--print-architecture"], check=False).text.strip() if host.which("dpkg") else ""
    others = host.run(["dpkg", "--print-foreign-architectures"], check=False).text.split() if own else []
    for entry in machine.get("dropped") or []:
        name = entry["architecture"]
        if name == own:
            remedy = "do not upgrade: install %s on a machine of another architecture and move there (migrate-host.yml)" % context.target()
            found.append(Finding("machine.architecture", "blocker", name, "the target release has no such architecture", str(entry["reason"]), remedy))
        elif name in others and entry.get("foreign", True):
            held = _foreign_packages(context, name)
            if held:
                remedy = "remove these packages, then dpkg --remove-architecture %s" % name
                told = ", ".join(held[:8]) + (" and %d more" % (len(held) - 8) if len(held) > 8 else "")
                title = "packages of an architecture that the target release does not have"
                found.append(Finding("machine.architecture.foreign", "blocker", name, title, told + "; " + str(entry["reason"]), remedy))
    for entry in machine.get("levels") or []:
        if entry["architecture"] != own:
            continue
        has = level(host.text("/proc/cpuinfo"))
        names = [name for name, _flags in LEVELS]
        if entry["level"] in names and (not has or names.index(has) < names.index(entry["level"])):
            evidence = "it is %s, %s needs %s; %s" % (has or "below x86-64-v1", context.target(), entry["level"], entry["reason"])
            remedy = "move to a machine with a newer processor; in a virtual machine give it a newer processor model (host-passthrough)"
            found.append(Finding("machine.processor", "blocker", "processor", "the target release does not run on this processor", evidence, remedy))
    return found + _kernel(context, machine, own)


def _foreign_packages(context, architecture):
    text = context.host.run(["dpkg-query", "-W", "-f", "${Package}\t${Architecture}\t${db:Status-Abbrev}\n"], check=False).text
    rows = [line.split("\t") for line in text.splitlines() if line.count("\t") == 2]
    return sorted(name for name, arch, status in rows if arch == architecture and status[1:2] == "i")


def _kernel(context, machine, own):
    """The kernel under a container stays as it is, and one without the unified control groups boots to nothing."""
    host, found = context.host, []
    running = host.kernel()
    for entry in machine.get("kernels") or []:
        if entry["architecture"] not in ("all", own) or not context.container():
            continue
        have, want = ([int(n) for n in re.findall(r"\d+", text)[:2]] for text in (running, str(entry["at_least"])))
        if have < want:
            evidence = "kernel %s, at least %s is needed; %s" % (running, entry["at_least"], entry["reason"])
            remedy = "upgrade the machine that this container runs on first"
            found.append(Finding("machine.kernel", "blocker", "kernel", "the kernel below this container is too old for the target release", evidence, remedy))
    legacy = machine.get("unified_cgroups")
    if legacy and not context.container() and host.exists("/run/systemd/system"):
        mounted = [line.split()[1:3] for line in host.text("/proc/mounts").splitlines() if len(line.split()) > 2]
        asked = [word for word in host.text("/proc/cmdline").split() if word.startswith(("systemd.unified_cgroup_hierarchy", "systemd.legacy_systemd_cgroup"))]
        if mounted and ["/sys/fs/cgroup", "cgroup2"] not in mounted:
            evidence = "%s; %s" % (" ".join(asked) or "/sys/fs/cgroup is no cgroup2 file system", legacy["reason"])
            remedy = "take %s out of GRUB_CMDLINE_LINUX in /etc/default/grub, update-grub, reboot, and see that all services run" % (
                " ".join(asked) or "the setting"
            )
            found.append(Finding("machine.cgroups", "blocker", "control groups", "the target's systemd does not start with these", evidence, remedy))
    return found


def components(context):
    """PF11: what a component was split into is there too, or the firmware of disks and network cards stays behind."""
    found = []
    sources = [source for source in context.sources()[0] if source.enabled and "deb" in source.types]
    ours = [source for source in sources if set(source.suites) & set(context.release_path.get("suites") or {})]
    adds = "stage-sources" in (context.plan.get("stages") or [])
    for entry in context.release_path.get("components") or []:
        having, add = str(entry["having"]), str(entry["add"])
        if any(add in source.components for source in ours):
            continue
        users = [source for source in ours if having in source.components]
        firmware = context.installed(*(entry.get("packages") or ["firmware-*", "*-microcode"]))
        if not users and not firmware:
            continue
        if users:
            evidence = "%s has %s; %s" % (", ".join(sorted({"%s:%s" % (source.file, source.line) for source in users})[:3]), having, entry["reason"])
            remedy = (
                "the upgrade adds %s itself (stage stage-sources)" % add
                if adds
                else "add %s beside %s when the sources are changed to the target's" % (add, having)
            )
        else:
            evidence = "%s; no source has %s; %s" % (", ".join(firmware[:6]), having, entry["reason"])
            remedy = "add %s and %s to the distribution's sources, or these packages stay as old as they are" % (having, add)
        severity = "info" if users and adds else "warning"
        found.append(
            Finding("sources.component", severity, add, "at the target this component is needed too", evidence, remedy, details={"packages": firmware})
        )
    return found
