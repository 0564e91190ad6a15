# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Kernel settings: the values in force for what is configured and for what hosting depends on, and where each is set."""

from __future__ import annotations

import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline._compare import details
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding

SECTION = "sysctl"
# In systemd's order: a file hides those of the same name in later directories (sysctl.d(5)).
DIRECTORIES = ("/etc/sysctl.d", "/run/sysctl.d", "/usr/local/lib/sysctl.d", "/usr/lib/sysctl.d", "/lib/sysctl.d")
OLD_FILE = "/etc/sysctl.conf"

# Looked at on every host: a change here is felt by customers or is a door opened. Values that follow the memory's size are left out.
RELEVANT = (
    "net.ipv4.ip_forward",
    "net.ipv6.conf.all.forwarding",
    "net.ipv6.conf.all.disable_ipv6",
    "net.ipv6.conf.default.disable_ipv6",
    "net.ipv6.bindv6only",
    "net.ipv4.ip_unprivileged_port_start",
    "net.ipv4.ip_local_port_range",
    "net.ipv4.ping_group_range",
    "net.ipv4.tcp_syncookies",
    "net.ipv4.conf.all.rp_filter",
    "net.ipv4.conf.all.accept_redirects",
    "net.ipv4.conf.all.accept_source_route",
    "net.core.somaxconn",
    "net.ipv4.ip_nonlocal_bind",
    "net.ipv6.ip_nonlocal_bind",
    "vm.swappiness",
    "vm.overcommit_memory",
    "vm.overcommit_ratio",
    "vm.max_map_count",
    "vm.nr_hugepages",
    "fs.suid_dumpable",
    "fs.protected_symlinks",
    "fs.protected_hardlinks",
    "fs.protected_fifos",
    "fs.protected_regular",
    "kernel.unprivileged_userns_clone",
    "kernel.unprivileged_bpf_disabled",
    "kernel.kptr_restrict",
    "kernel.dmesg_restrict",
    "kernel.yama.ptrace_scope",
    "kernel.randomize_va_space",
    "kernel.sysrq",
)
# Follow the hardware, the moment or the host's name: not settings.
VOLATILE = re.compile(
    r"^(kernel\.(hostname|domainname|random\..*|ns_last_pid|pty\.nr|osrelease|version|tainted|core_pattern)"
    r"|fs\.(file-nr|inode-nr|inode-state|dentry-state|epoll\..*|quota\..*)"
    r"|net\..*\.(docker|br-|veth|virbr|cni|podman)[^.]*\..*)$"
)


def capture(system):
    """Items: {key: {"value": text in force, "set": text configured, "set_in": file}}. ignored: {key: value} that only /etc/sysctl.conf sets, unread."""
    if not system.exists("/proc/sys"):
        return None
    configured = {}
    for path in _read_files(system):
        for key, value in parse(system.text(path)):
            for name in _expand(system, key):
                configured[name] = (value, path)
    ignored = {}
    if not any(_same_file(system, path, OLD_FILE) for path in _read_files(system)):
        ignored = {escape(key): escape(value) for key, value in parse(system.text(OLD_FILE)) if "*" not in key}
    items = {}
    for key in sorted(set(configured) | set(RELEVANT) | set(ignored)):
        value = _value(system, key)
        if value is None or VOLATILE.match(key):
            continue
        items[escape(key)] = {"value": value}
        if key in configured:
            items[escape(key)].update(set=escape(configured[key][0]), set_in=escape(configured[key][1]))
    return {"items": items, "ignored": ignored, "summary": {"settings": len(items), "configured": sum(1 for i in items.values() if "set_in" in i)}}


def parse(text):
    """(key, value) pairs of a sysctl.d file in order; slashes become dots where the key is written with them; "-key" loses its dash."""
    for line in text.splitlines():
        line = line.strip()
        key, equals, value = line.partition("=")
        if line[:1] not in ("#", ";") and equals:
            yield _dotted(key.strip().lstrip("-")), " ".join(value.split())


def _dotted(key):
    """The name with dots between parts; a dot inside a part (eth0.100) then becomes a slash, as sysctl.d(5) has it."""
    first = re.search(r"[./]", key)
    return key.translate(str.maketrans("./", "/.")) if first and first.group() == "/" else key


def _path(key):
    return "/proc/sys/" + key.translate(str.maketrans("./", "/."))


def _expand(system, key):
    if "*" not in key:
        return [key]
    return [path[len("/proc/sys/") :].translate(str.maketrans("./", "/.")) for path in system.glob(_path(key))]


def _value(system, key):
    try:
        content = system.read(_path(key))
    except OSError:
        return None  # write-only, or not for this kernel's namespace
    return None if content is None else " ".join(content.decode("utf-8", "replace").split())


def _read_files(system):
    """The files that systemd-sysctl reads, in its order (by name, whatever the directory)."""
    chosen = {}
    for directory in DIRECTORIES:
        for path in system.glob(directory + "/*.conf"):
            chosen.setdefault(path.rpartition("/")[2], path)
    return [chosen[name] for name in sorted(chosen)]


def _same_file(system, path, other):
    return system.realpath(path) == system.realpath(other)


def compare(before, after):
    """Findings for two data dicts: only values in force count; who set them tells how grave it is."""
    out = []
    new, ignored = after.get("items", {}), after.get("ignored", {})
    for key, old in sorted(before.get("items", {}).items()):
        now = new.get(key)
        if now is None:
            if not _by_hand(old.get("set_in")):
                continue  # this kernel has no such setting any more, and nobody here asked for it
            out.append(
                _finding("sysctl.missing", key, "the kernel has no such setting any more", "%s before, set in %s" % (old["value"], old["set_in"]), old, None)
            )
        elif now["value"] != old["value"]:
            why = "set in %s before" % old["set_in"] if old.get("set_in") else "the system's own value before"
            remedy = "set it in /etc/sysctl.d/local.conf and run sysctl --system"
            if key in ignored and key not in before.get("ignored", {}):
                why = "set only in %s, which this release no longer reads" % OLD_FILE
                remedy = "move the line to a file in /etc/sysctl.d and run sysctl --system"
            elif now.get("set_in"):
                why += ", set in %s now" % now["set_in"]
            out.append(
                _finding("sysctl.changed", key, "another value is in force", "%s before, %s now; %s" % (old["value"], now["value"], why), old, now, remedy)
            )
    return out


def _by_hand(path):
    return bool(path) and not path.startswith(("/usr/lib/", "/lib/", "/run/"))


def _finding(finding, key, title, evidence, old, now, remedy="look for what replaces it in this kernel"):
    return Finding(
        id=finding,
        severity="blocker" if _by_hand(old.get("set_in")) else "warning",
        subject=key,
        title=title,
        evidence=evidence,
        remedy=remedy,
        details=details(
            "changed" if now else "missing", "value", old["value"], now and now["value"], set_in=old.get("set_in"), set_in_after=now and now.get("set_in")
        ),
        covers=[{"section": "files", "path": path} for path in sorted({p for p in (old.get("set_in"), now and now.get("set_in")) if p})],
    )
