# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A throw-away root with the target release's daemons: packages unpacked without their scripts, kept by their versions.

What holds anything of the host (its /etc, its keys) lives in a directory of its own (0700) and in a private mount
namespace, and is gone when the check ends, however it ends.
"""

from __future__ import annotations

import concurrent.futures
import fnmatch
import hashlib
import json
import os
import re
import sys
import tempfile

from ansible_collections.intact.hosting.plugins.module_utils import _apt_sources
from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _apt, _etc

# What checks call besides the daemon itself: a shell and the small tools of postfix check and apache2ctl.
TOOLS = ("dash", "coreutils", "sed", "grep", "findutils", "diffutils", "libc-bin", "mawk")
# Dependencies of packages, not of their binaries: services, interpreters and documentation, large and never called by a check.
UNUSED = ("systemd", "systemd-*", "udev", "*-doc", "dbus*", "iso-codes", "tzdata*", "ucf", "adduser", "gcc-*", "cpp*", "libllvm*")
# Interpreters stay when a daemon's module embeds one (libnginx-mod-http-perl, libapache2-mod-wsgi-py3).
INTERPRETERS = {"perl": ("perl", "perl-modules-*", "libperl*"), "py": ("python3*", "libpython3*")}
MARK = ".complete"

# Runs inside the new namespaces: mounts the target's root, today's data below it (writable only in memory), and asks each daemon.
INNER = r"""
import json, os, subprocess, sys
work, base, orders = sys.argv[1], sys.argv[2], json.loads(sys.stdin.read())
def mount(*words):
    done = subprocess.run(["mount"] + list(words), stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    return done.returncode == 0
def fresh(name):
    for part in ("up", "work"):
        os.makedirs(os.path.join(work, "memory", name, part))
    return os.path.join(work, "memory", name)
def overlay(lower, target, name):
    here = fresh(name)
    return mount("-t", "overlay", "overlay", "-o", "lowerdir=%s,upperdir=%s/up,workdir=%s/work" % (lower, here, here), target)
root = os.path.join(work, "root")
if not mount("-t", "tmpfs", "-o", "mode=0700,size=256m", "intact", os.path.join(work, "memory")) or not overlay(base, root, "base"):
    sys.exit("no private mounts are possible here")
for name in ("etc", "proc", "dev", "run", "tmp", "root", "var"):
    os.makedirs(os.path.join(root, name), exist_ok=True)
ok = overlay(os.path.join(work, "etc"), root + "/etc", "etc")
for tree in ("var", "home", "srv", "opt", "root", "usr/local"):
    if os.path.isdir("/" + tree):
        os.makedirs(os.path.join(root, tree), exist_ok=True)
        overlay("/" + tree, os.path.join(root, tree), tree.replace("/", "-")) or mount("--bind", "-o", "ro", "/" + tree, os.path.join(root, tree))
        for directory, names, _files in os.walk(os.path.join(base, tree)):
            # directories that only the target's packages bring
            here = os.path.join(root, os.path.relpath(directory, base))
            for name in names:
                if not os.path.lexists(os.path.join(here, name)):
                    os.makedirs(os.path.join(here, name))
ok = ok and mount("-t", "tmpfs", "-o", "mode=0755", "intact", root + "/run") and mount("-t", "tmpfs", "-o", "mode=1777", "intact", root + "/tmp")
ok = ok and mount("-t", "tmpfs", "-o", "mode=0755", "intact", root + "/dev")
mount("-t", "proc", "proc", root + "/proc")
if not ok:
    sys.exit("no private mounts are possible here")
for name in ("null", "zero", "full", "random", "urandom", "tty"):
    if os.path.exists("/dev/" + name):
        open(root + "/dev/" + name, "w").close()
        mount("--bind", "/dev/" + name, root + "/dev/" + name)
for name, link in (("fd", "/proc/self/fd"), ("stdin", "/proc/self/fd/0"), ("stdout", "/proc/self/fd/1"), ("stderr", "/proc/self/fd/2")):
    os.symlink(link, root + "/dev/" + name)
daemons = "lock sshd php named mysqld nginx apache2 dovecot postgresql proftpd haproxy exim4 rspamd opendkim sudo"
for name in daemons.split():
    os.makedirs(root + "/run/" + name, exist_ok=True)
os.chroot(root)
os.chdir("/")
told = []
for order in orders:
    env = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C.UTF-8", "HOME": "/root"}
    try:
        done = subprocess.run(order["argv"], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=env, timeout=order["seconds"])
        out, err = done.stdout[-16000:].decode("utf-8", "replace"), done.stderr[-8000:].decode("utf-8", "replace")
        told.append({"name": order["name"], "rc": done.returncode, "out": out, "err": err})
    except subprocess.TimeoutExpired:
        told.append({"name": order["name"], "rc": None, "out": "", "err": "no answer within %d s" % order["seconds"]})
    except OSError as exc:
        told.append({"name": order["name"], "rc": None, "out": "", "err": str(exc)})
print(json.dumps(told))
"""


def _apt_options(directory, archives):
    """Options that make apt think of an empty system, so that it names everything that the daemons need."""
    return [
        "-o",
        "Dir::State::status=" + directory + "/status",
        "-o",
        "Dir::State::extended_states=" + directory + "/extended_states",
        "-o",
        "Dir::Cache::archives=" + archives,
        "-o",
        "Dir::Cache::pkgcache=",
        "-o",
        "Dir::Cache::srcpkgcache=",
        "-o",
        "Debug::NoLocking=true",
        "-o",
        "APT::Install-Recommends=false",
        "-o",
        "APT::Install-Suggests=false",
        "-o",
        "APT::Sandbox::User=root",
        "-o",
        "Dir::Etc::preferences=/dev/null",
        "-o",
        "Dir::Etc::preferencesparts=/dev/null",
    ]


def parse_uris(text):
    """{file name: size} of `apt-get --print-uris`."""
    return {name: int(size) for name, size in re.findall(r"(?m)^'[^']*' (\S+\.deb) (\d+)", text)}


def wanted(files, packages=()):
    """Those archives that a check needs, by package name. packages: the daemons' own. Pure."""
    unused = list(UNUSED)
    for word, patterns in INTERPRETERS.items():
        if not any(word in re.split(r"[-.=\d]", package.split("=", 1)[0]) for package in packages):
            unused += patterns
    return sorted(name for name in files if not any(fnmatch.fnmatchcase(name.split("_", 1)[0], pattern) for pattern in unused))


def unpacked(context, config, archives, packages):
    """Directory with these packages (["name=version"]) and all they need, unpacked; made when it isn't there yet."""
    host, top = context.host, os.path.join(context.cache, "targetroot")
    host.make_private(top)
    host.make_private(os.path.join(archives, "partial"))
    host.write_private(os.path.join(top, "status"), b"")
    argv = ["apt-get", "-q", "-y", "-c", config] + _apt_options(top, archives)
    empty = os.path.join(top, "empty")
    host.make_private(os.path.join(empty, "partial"))
    names = list(packages) + list(TOOLS)
    listed = host.run(argv + ["-o", "Dir::Cache::archives=" + empty, "--print-uris", "install"] + names, timeout=300, check=False)
    if listed.rc != 0:
        said = [line for line in (listed.error + "\n" + listed.text).splitlines() if line.startswith("E:") or "Depends" in line]
        raise IntactError("apt cannot put the target's daemons together: %s" % ("; ".join(" ".join(line.split()) for line in said[:4]) or listed.error[-300:]))
    files = parse_uris(listed.text)
    chosen = wanted(files, packages)
    base = os.path.join(top, hashlib.sha256("\n".join(chosen).encode()).hexdigest()[:24])
    if host.exists(os.path.join(base, MARK)):
        return base
    size = sum(files[name] for name in chosen)
    if host.space(top).bytes_free < 6 * size + (256 << 20):
        raise IntactError("%s has no room for the target's daemons: %d MiB are needed" % (top, (6 * size >> 20) + 256))
    host.run(argv + ["--download-only", "install"] + names, timeout=1800)
    for other in host.glob(os.path.join(top, "[0-9a-f]" * 24)) + host.glob(os.path.join(top, "new-*")):
        host.remove_tree(other)
    new = tempfile.mkdtemp(prefix="new-", dir=top)
    try:
        os.chmod(new, 0o755)
        for name in ("bin", "sbin", "lib", "lib64"):
            os.makedirs(os.path.join(new, "usr", name))
            os.symlink("usr/" + name, os.path.join(new, name))
        with concurrent.futures.ThreadPoolExecutor(max_workers=2) as pool:
            list(pool.map(lambda name: run(["dpkg-deb", "-x", os.path.join(archives, name), new], timeout=300), chosen))
        os.rename(new, base)
        host.write_private(os.path.join(base, MARK), "\n".join(chosen).encode())
    finally:
        host.remove_tree(new)
    return base


def ask(context, base, orders, target_files):
    """Let the target's daemons read the configuration: ([{name, rc, out, err}], paths of /etc that come from the target).

    orders: [{name, argv, network, seconds}].
    """
    host = context.host
    work = tempfile.mkdtemp(prefix="work-", dir=os.path.join(context.cache, "targetroot"))
    try:
        for name in ("etc", "root", "memory"):
            host.make_private(os.path.join(work, name))
        os.chmod(os.path.join(work, "etc"), 0o755)
        conffiles = _etc.parse_conffiles(host.run(["dpkg-query", "-W", "-f", "${Conffiles}\n"]).text)
        fresh = _etc.merge(
            "/etc",
            base,
            os.path.join(work, "etc"),
            conffiles,
            _etc.parse_ucf(host.text("/var/lib/ucf/hashfile")),
            context.release_path.get("carry") or [],
            target_files,
        )
        modules(os.path.join(work, "etc"), *([entry["name"] for entry in context.planned(kind)] for kind in ("remove", "install")))
        told = []
        for network in (False, True):
            chosen = [order for order in orders if bool(order["network"]) == network]
            if chosen:
                told += _inside(host, work, base, chosen, network)
        return told, fresh
    finally:
        host.remove_tree(work)


def modules(etc, removed, coming):
    """Switch apache's modules in a merged /etc as packages' scripts do: off those that go, and on the PHP that comes in the place of one that was on."""
    enabled, php = os.path.join(etc, "apache2", "mods-enabled"), False
    for name in removed:
        if name.startswith("libapache2-mod-"):
            for ending in ("load", "conf"):
                path = os.path.join(enabled, "%s.%s" % (name[len("libapache2-mod-") :], ending))
                if os.path.lexists(path):
                    os.unlink(path)
                    php = php or name.startswith("libapache2-mod-php")
    for name in coming if php else ():
        if name.startswith("libapache2-mod-php"):
            for ending in ("load", "conf"):
                module = "%s.%s" % (name[len("libapache2-mod-") :], ending)
                if os.path.lexists(os.path.join(etc, "apache2", "mods-available", module)) and not os.path.lexists(os.path.join(enabled, module)):
                    os.symlink("../mods-available/" + module, os.path.join(enabled, module))


def _inside(host, work, base, orders, network):
    # Some daemons bind and resolve even when they only check: they get the host's network, where live addresses are, the others none.
    spaces = ["--mount", "--pid", "--fork", "--kill-child", "--ipc", "--uts", "--propagation", "private"] + ([] if network else ["--net"])
    argv = ["unshare"] + spaces + ["--", sys.executable, "-I", "-c", INNER, work, base]
    done = host.run(argv, timeout=60 + sum(order["seconds"] for order in orders), stdin=json.dumps(orders).encode(), check=False)
    if done.rc != 0:
        raise IntactError("the target's daemons could not be started apart from this host: %s" % (done.error.splitlines() or ["status %d" % done.rc])[-1])
    return json.loads(done.text)


def own_state(context):
    """(apt.conf, archives) for the target release when the plan brought none: the distribution's own sources with the target's suites."""
    suites, lines = context.release_path.get("suites") or {}, []
    for source in context.sources()[0]:
        new = [suites[suite] for suite in source.suites if suites.get(suite)]
        if source.enabled and new and "deb" in source.types:
            lines.append(_apt_sources.render(_apt_sources.Source(source.file, source.line, ["deb"], source.uris, new, source.components, dict(source.options))))
    directory = os.path.join(context.cache, "target")
    context.host.make_private(directory)
    context.host.write_private(directory + "/target.sources", "\n".join(lines).encode())
    config = _apt.private(context, "target", sourcelist=directory + "/target.sources")
    done = _apt.update(context, config)
    if done.rc != 0:
        raise IntactError("the target release's sources do not answer: %s" % done.error[-300:])
    return config, directory + "/archives"
