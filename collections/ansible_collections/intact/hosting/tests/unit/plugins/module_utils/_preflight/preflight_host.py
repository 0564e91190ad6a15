# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A fake host for pre-flight checks, and a context over it."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._preflight._context import Context, perform
from ansible_collections.intact.hosting.plugins.module_utils._preflight._registry import chosen
from ansible_collections.intact.hosting.plugins.module_utils._preflight._system import Space
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

PATH = {
    "name": "debian-12-13",
    "source": {"id": "debian", "version": "12", "codename": "bookworm"},
    "target": {"id": "debian", "version": "13", "codename": "trixie"},
    "suites": {"bookworm": "trixie"},
    "minimum_versions": {"openssh-server": {"version": "1:9.2p1-2+deb12u7", "reason": "Debian bug 1109742"}},
    "expected_removals": [{"package": "php8.2-*", "reason": "8.4 in its place"}],
    "carry": [{"from": "/etc/php/8.2/fpm/pool.d", "to": "/etc/php/8.4/fpm/pool.d", "reason": "pools"}],
}
OS = 'PRETTY_NAME="Debian GNU/Linux 12 (bookworm)"\nID=debian\nVERSION_ID="12"\n'


class FakeHost(FakeSystem):
    """FakeSystem with what only pre-flight looks at.

    locks: {path: pid}. spaces: {path: Space}. running: [(pid, name, argv)]. opened: {path: process}. written: what was written.
    """

    def __init__(self, *args, **more):
        self.locks = more.pop("locks", {})
        self.spaces = more.pop("spaces", {})
        self.running = more.pop("running", [])
        self.opened = more.pop("opened", {})
        self.release = more.pop("release", "6.1.0-40-amd64")
        self.written = {}
        super().__init__(*args, **more)

    def lock_holder(self, path):
        return self.locks.get(path, 0)

    def space(self, path):
        best = max((p for p in self.spaces if path == p or path.startswith(p.rstrip("/") + "/")), key=len, default="/")
        return self.spaces.get(best, Space(1, 1 << 40, 1 << 39, 1 << 20, 1 << 19))

    def processes(self):
        return self.running

    def open_below(self, prefix):
        return {path: name for path, name in self.opened.items() if path.startswith(prefix)}

    def kernel(self):
        return self.release

    def realpath(self, path):
        return self.links.get(path, path)

    def make_private(self, path):
        return path

    def write_private(self, path, data):
        self.written[path] = data

    def remove_tree(self, path):
        self.written.pop(path, None)


def packages(**versions):
    """Output of dpkg-query as Context.packages() asks: packages(nginx="1.22", broken=("1", "iU "))."""
    lines = []
    for name, version in versions.items():
        value, status = version if isinstance(version, tuple) else (version, "ii ")
        lines.append("%s\t%s\t%s" % (name.replace("_", "-"), value, status))
    return "\n".join(lines) + "\n"


def context(commands=None, files=None, installed="", plan=None, baseline=None, options=None, proofs=(), **more):
    """A Context over a FakeHost; installed: see packages()."""
    known = {("dpkg-query", "-W", "-f", "${Package}\t${Version}\t${db:Status-Abbrev}\n"): installed}
    known.update({tuple(k.split()) if isinstance(k, str) else k: v for k, v in (commands or {}).items()})
    extra = {key: more.pop(key) for key in ("compare_disks", "inventories", "release_path") if key in more}
    host = FakeHost(commands=known, files=dict({"/etc/os-release": OS, "/run/systemd/container": "docker"}, **(files or {})), **more)
    return Context(
        host=host,
        release_path=extra.pop("release_path", PATH),
        plan=plan or {},
        baseline=baseline or {},
        options=options or {},
        proofs=list(proofs),
        **extra,
    )


def ids(findings):
    """[(id, severity, subject)] for short assertions."""
    return [(f.id, f.severity, f.subject) for f in findings]


# What a machine of its own has besides: no container, a hypervisor unless bare.
MACHINE = {"/run/systemd/container": None}
VIRTUAL = {"systemd-detect-virt --container": (1, "none\n"), "systemd-detect-virt --vm": "kvm\n"}
BARE = {"systemd-detect-virt": (1, "none\n")}


def machine(commands=None, files=None, bare=True, **more):
    """A Context over a host that is a machine of its own, bare metal or virtual."""
    known = dict(BARE if bare else VIRTUAL)
    known.update(commands or {})
    return context(known, dict(MACHINE, **(files or {})), **more)


def disks(**items):
    """A baseline whose disks section has these items: disks(sda=dict(kind="disk", mounts=["/"]))."""
    base = {"kind": "disk", "type": "", "mounts": [], "holders": [], "parent": "", "uuid": "", "partuuid": ""}
    return {"sections": {"disks": {"status": "ok", "data": {"items": {name: dict(base, path="/dev/" + name, **item) for name, item in items.items()}}}}}


def said(number, given):
    """[(number, id, severity, subject)] of one check of the registry, run as the module runs it; a defect is an error here."""
    findings, _told = perform(chosen([number]), given)
    assert not [f.evidence for f in findings if f.id == "preflight.unchecked"]
    assert all(f.remedy for f in findings if f.severity != "info")
    return [(f.check, f.id, f.severity, f.subject) for f in findings]
