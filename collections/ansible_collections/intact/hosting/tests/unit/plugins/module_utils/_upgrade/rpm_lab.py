# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A room for real RPM package managers: RPMs that are built here, repositories over HTTP, and a root of its own in which the installed runner works.

A room is this machine's root (or a tree with dnf5, see DNF5) below an overlay, in own mount and process namespaces, without dpkg, with an rpm database that
holds only the lab's packages. In it runs what a host runs: the runner's installed files, as its unit starts them. Only systemctl is a stand-in. The end of
the room's first process takes all others along, as a power cut does; what was written stays.
"""

from __future__ import annotations

import functools
import http.server
import json
import os
import shutil
import signal
import subprocess
import threading
import time
from pathlib import Path

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _install

# A tree with dnf5 in it: no release of Debian before forky has it. Made by: mmdebstrap --variant=minbase --include=dnf5,rpm,python3 forky DIRECTORY
DNF5 = os.environ.get("INTACT_DNF5_TREE", "/var/cache/intact-lab/dnf5")
TOOLS = ("rpmbuild", "createrepo_c", "unshare", "nsenter", "setpriv")
COLLECTIONS = str(Path(_install.__file__).resolve().parents[6])
# Stages that touch no package and would only wait for daemons that are not there are done for real all the same.
SETTINGS = {
    "protected": ["lab-guard", "openssh-server"],
    "accepted_removals": [],
    "source_map": [],
    "conffiles": [],
    "conffile_default": "",
    "target_files_cover": [],
    "target_absent": [],
    "postgresql": "keep",
    "postgresql_reindex": False,
    "autoremove": True,
    "reboot": False,
}
SYSTEMCTL = """#!/bin/sh
# Stand-in: says what was asked. There is no systemd in the room.
echo "$*" >> /var/log/systemctl
case "$1" in
  show) echo LoadState=not-found ;;
  is-system-running) echo running ;;
  reboot) kill -9 $PPID ;;
esac
exit 0
"""
# The room's first process, which takes care of orphans as systemd does: dnf waits for ever for one of its kind that nobody buried.
INIT = """
import os, signal
signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGCHLD])
print("up", flush=True)
while True:
    signal.sigwait([signal.SIGCHLD])
    try:
        while os.waitpid(-1, os.WNOHANG)[0]:
            pass
    except ChildProcessError:
        pass
"""
LOOK = """
import json, sys
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _planners
asked = json.load(sys.stdin)
plan, findings = _planners.look(asked["path"], "/var/lib/intact/plan", **asked["more"])
json.dump({"plan": plan, "findings": [f.as_dict() for f in findings]}, sys.stdout)
"""


def why_not():
    """Why no room can be made here, or ""."""
    if os.geteuid() != 0:
        return "needs root"
    missing = [tool for tool in TOOLS if not shutil.which(tool)]
    if missing:
        return "needs %s (apt-get install rpm createrepo-c)" % ", ".join(missing)
    probe = "mkdir /tmp/u /tmp/w /tmp/m && mount -t overlay o -o lowerdir=/,upperdir=/tmp/u,workdir=/tmp/w /tmp/m"
    done = subprocess.run(["unshare", "-m", "sh", "-c", "mount -t tmpfs t /tmp && " + probe], capture_output=True, text=True, check=False)
    return "" if done.returncode == 0 else "needs an overlay mount: %s" % done.stderr.strip()


class Builder:
    """Builds tiny packages and repositories below a directory."""

    def __init__(self, top):
        self.top = Path(top)
        self.jobs = []

    def package(self, repo, name, version, head="", files=(), scripts="", config=""):
        """Note a package. files: {path: text or number of bytes}. config: {path: marker such as %config(noreplace)}."""
        install, listed = [], []
        for path, content in dict(files).items():
            install.append("mkdir -p %%{buildroot}%s" % os.path.dirname(path))
            words = "head -c %d /dev/urandom" % content if isinstance(content, int) else "printf '%s\\n'" % content
            install.append("%s > %%{buildroot}%s" % (words, path))
            listed.append(("%s " % dict(config or {}).get(path, "")).lstrip() + path)
        text = "Name: %s\nVersion: %s\nRelease: 1\nSummary: lab\nLicense: none\nBuildArch: noarch\n%s\n%%description\nlab\n%%install\n%s\n%s\n%%files\n%s\n" % (
            name,
            version,
            head,
            "\n".join(install),
            scripts,
            "\n".join(listed),
        )
        spec = self.top / "specs" / ("%s-%s-%s.spec" % (repo, name, version))
        spec.parent.mkdir(parents=True, exist_ok=True)
        spec.write_text(text)
        self.jobs.append((repo, spec))

    def build(self):
        """Build what was noted, one rpmbuild a repository."""
        for repo in sorted({repo for repo, _spec in self.jobs}):
            words = ["nice", "-n", "19", "rpmbuild", "-bb", "--quiet", "--define", "_topdir %s/b" % self.top, "--define", "_dbpath %s/db" % self.top]
            words += ["--define", "_rpmdir %s/%s" % (self.top, repo), "--define", "_build_id_links none", "--define", "_binary_payload w1.gzdio"]
            subprocess.run(words + [str(spec) for name, spec in self.jobs if name == repo], check=True, capture_output=True)

    def repository(self, name, base="", but=()):
        """Metadata for a repository. base: another one whose packages it has too, except those whose file names begin with one of but."""
        top = self.top / name / "noarch"
        top.mkdir(parents=True, exist_ok=True)
        mine = {path.name.rsplit("-", 2)[0] for path in top.glob("*.rpm")}
        for path in sorted((self.top / base / "noarch").glob("*.rpm")) if base else []:
            stem = path.name.rsplit("-", 2)[0]
            if stem not in mine and stem not in but:
                os.link(path, top / path.name)
        subprocess.run(["createrepo_c", "-q", str(self.top / name)], check=True)


def build(top):
    """The lab's repositories: old, new, and variants of new in which one thing is wrong. Returns the Builder."""
    made = Builder(top)
    post = "%%post\n%s"
    for repo, number in (("old", 1), ("new", 2)):
        made.package(repo, "lab-sh", number, "Provides: /bin/sh")
        files = {"/etc/lab/%s.conf" % n: "package %d" % number for n in ("kept", "hard")}
        files["/etc/lab/same.conf"] = "always the same"
        config = {"/etc/lab/kept.conf": "%config(noreplace)", "/etc/lab/hard.conf": "%config", "/etc/lab/same.conf": "%config(noreplace)"}
        made.package(repo, "lab-conf", number, files=files, config=config)
        made.package(repo, "lab-lib", number, "Provides: liblab = %d" % number)
        made.package(repo, "lab-script", number, files={"/usr/share/lab/script": "%d" % number})
        made.package(repo, "lab-slow", number, files={"/usr/share/lab/slow": "%d" % number})
        made.package(repo, "lab-late", number, scripts="%%posttrans\necho %d >> /var/log/lab-posttrans" % number)
        made.package(repo, "lab-guard", number)
        made.package(repo, "lab-big", number, files={"/opt/lab/big": 40000})
    made.package("old", "lab-oldname-which-is-long-so-that-tables-are-broken-over-two-lines", 1)
    made.package(
        "new",
        "lab-newname-which-is-long-so-that-tables-are-broken-over-two-lines",
        2,
        "Obsoletes: lab-oldname-which-is-long-so-that-tables-are-broken-over-two-lines < 2",
    )
    made.package("old", "lab-user", 1, "Requires: liblab = 1")
    made.package("old", "lab-down", 5)
    made.package("new", "lab-down", 4)
    made.package("pre", "lab-script", 2, scripts="%pre\necho the disk is on fire\nexit 1", files={"/usr/share/lab/script": "2"})
    made.package("post", "lab-script", 2, scripts=post % "test -e /etc/lab/repaired || exit 3", files={"/usr/share/lab/script": "2"})
    slow = "test -e /etc/lab/quick && exit 0\necho $$ > /var/log/lab-slow\nsleep 300\necho done > /var/log/lab-slow-done"
    made.package("slow", "lab-slow", 2, scripts=post % slow + "\necho ran >> /var/log/lab-slow-ran", files={"/usr/share/lab/slow": "2"})
    made.package("lost", "lab-lib", 2, "Provides: liblab = 2\nConflicts: lab-guard")
    made.package("daemon", "lab-lib", 2, "Provides: liblab = 2\nRequires: httpd")
    made.package("daemon", "httpd", 2)
    fill = "test -e /etc/lab/room || head -c 100000000 /dev/zero > /opt/lab/filler 2>/dev/null\nexit 0"
    made.package("full", "lab-guard", 2, scripts="%pre\n" + fill)
    # It must come first, so that the others find the disk full.
    made.package("full", "lab-big", 2, "Requires(pre): lab-guard = 2", files={"/opt/lab/big": 400000})
    made.build()
    made.repository("old")
    made.repository("new")
    for name in ("pre", "post", "slow", "daemon", "full"):
        made.repository(name, "new")
    made.repository("lost", "new", but=("lab-guard",))
    return made


class Mirror:
    """The repositories over HTTP. instead: {name: another name}. after: packages until it is gone; None: it stays."""

    def __init__(self, top):
        self.instead, self.after, self.asked = {}, None, []
        handler = functools.partial(self.Handler, directory=str(top), mirror=self)
        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self.url = "http://127.0.0.1:%d" % self.server.server_address[1]
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    class Handler(http.server.SimpleHTTPRequestHandler):
        """Answers as long as the mirror is there."""

        def __init__(self, *args, mirror, **more):
            self.mirror = mirror
            super().__init__(*args, **more)

        def do_GET(self):
            first, _slash, rest = self.path.lstrip("/").partition("/")
            self.path = "/%s/%s" % (self.mirror.instead.get(first, first), rest)
            self.mirror.asked.append(self.path)
            if self.mirror.after is not None:
                if self.path.endswith(".rpm"):
                    self.mirror.after -= 1
                if self.mirror.after < 0:
                    # Not 503: zypper waits half a minute between its attempts then.
                    self.send_error(404)
                    return
            super().do_GET()

        def log_message(self, *_args):
            pass

    def close(self):
        self.server.shutdown()
        self.server.server_close()


class Room:
    """A root of its own. tree: what is below it. manager: dnf, dnf5, zypper or leapp. base: what another room wrote, to begin with."""

    def __init__(self, top, tree, manager, base=""):
        self.top, self.tree, self.manager = Path(top), tree, manager
        for name in ("work", "merged"):
            (self.top / name).mkdir(parents=True, exist_ok=True)
        # Not a layer of its own: one that lies below another is refused.
        if base:
            subprocess.run(["cp", "-a", base, self.upper], check=True)
        else:
            os.makedirs(self.upper)
        self.holder = None
        self.directory = "/var/lib/intact/upgrade/f-1"
        self.start()

    @property
    def upper(self):
        """What this room wrote; only to be read while it is stopped."""
        return str(self.top / "upper")

    def start(self, boot="1"):
        """Begin the room's first process, on which all others hang. boot: the boot id."""
        script = """
set -e
mount -t overlay overlay -o lowerdir=%s,upperdir=%s/upper,workdir=%s/work %s/merged
cd %s/merged
mount -t proc proc proc; mount --rbind /dev dev; mount -t tmpfs tmpfs run
mkdir -p intact-src; mount --bind %s intact-src; mount -o remount,bind,ro intact-src
echo %s > run/boot_id; mount --bind run/boot_id proc/sys/kernel/random/boot_id
exec python3 -c '%s'
""" % (self.tree, self.top, self.top, self.top, self.top, COLLECTIONS, boot, INIT)
        words = ["setpriv", "--pdeathsig", "KILL", "unshare", "--mount", "--propagation", "private", "--pid", "--fork", "--kill-child", "sh", "-c", script]
        self.holder = subprocess.Popen(words, stdout=subprocess.PIPE, stdin=subprocess.DEVNULL)
        assert self.holder.stdout.readline() == b"up\n", "the room could not be made"
        children = Path("/proc/%d/task/%d/children" % (self.holder.pid, self.holder.pid))
        self.first = int(children.read_text().split()[0])

    def cut(self):
        """End everything in the room at once."""
        if self.holder:
            os.kill(self.first, signal.SIGKILL)
            self.holder.wait()
            self.holder.stdout.close()
            self.holder = None

    def words(self, argv):
        """argv that runs a command in the room."""
        inside = [
            "nsenter",
            "-t",
            str(self.first),
            "-m",
            "-p",
            "chroot",
            str(self.top / "merged"),
            "/usr/bin/env",
            "-i",
            "HOME=/root",
            "LC_ALL=C.UTF-8",
            "COLUMNS=200",
        ]
        return inside + ["PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"] + [str(word) for word in argv]

    def run(self, argv, check=True, stdin=""):
        """Run a command in the room; returns what it printed."""
        done = subprocess.run(self.words(argv), input=stdin, capture_output=True, text=True, check=False, cwd="/")
        assert not check or done.returncode == 0, "%s: %s %s" % (argv, done.stdout[-3000:], done.stderr[-3000:])
        return done.stdout

    def write(self, path, text, mode="644"):
        """Write a file in the room."""
        self.run(["sh", "-c", 'mkdir -p "$(dirname "$1")" && cat > "$1" && chmod %s "$1"' % mode, "sh", path], stdin=text)

    def read(self, path):
        """Text of a file in the room, "" when it is not there."""
        return self.run(["cat", path], check=False)

    def prepare(self, url):
        """Make an RPM host of it: no dpkg, an empty rpm database, one repository."""
        self.run(
            ["sh", "-c", "rm -rf /var/lib/dpkg /usr/bin/dpkg* /usr/bin/pg_lsclusters /etc/yum.repos.d /etc/zypp/repos.d /var/lib/intact /var/lib/rpm /opt/lab"]
        )
        # Debian's rpm has its database in the home directory.
        self.write("/etc/rpm/macros", "%_dbpath /var/lib/rpm\n")
        if self.manager == "dnf5":
            # A plugin that Debian's package turns on, which wants createrepo_c there and ends a good transaction with status 1.
            self.write("/etc/dnf/libdnf5-plugins/local.conf", "[main]\nname = local\nenabled = false\n")
        self.write("/usr/local/sbin/systemctl", SYSTEMCTL, "755")
        repo = "# the lab's\n[lab]\nname=lab\nbaseurl=%s/$releasever\nenabled=1\ngpgcheck=0\n" % url
        for directory in ("yum.repos.d", "zypp/repos.d"):
            self.write("/etc/%s/lab.repo" % directory, repo)
        self.write("/etc/os-release", "ID=lab\nVERSION_ID=old\n")
        self.write("/etc/machine-id", "0123456789abcdef0123456789abcdef\n")
        words = {"dnf": ["dnf", "-q", "-y", "--releasever=old"], "dnf5": ["dnf5", "-q", "-y", "--releasever=old"]}
        zypper = ["zypper", "-q", "--releasever", "old", "--non-interactive"]
        self.run(words.get(self.manager, zypper) + ["install"] + OLD)
        # The release that $releasever stands for until the sources are committed.
        for path in ("/etc/dnf/vars/releasever", "/etc/zypp/vars.d/releasever"):
            self.write(path, "old")
        for name in ("kept", "hard", "same"):
            self.write("/etc/lab/%s.conf" % name, "the operator's\n")

    @property
    def engine(self):
        """Name of the engine."""
        return "dnf" if self.manager == "dnf5" else self.manager

    def path(self, target="new", **more):
        """A release path to one of the repositories."""
        source, there = {"id": "lab", "version": "old", "codename": ""}, {"id": "lab", "version": target, "codename": ""}
        return dict({"name": "lab-old-%s" % target, "engine": self.engine, "source": source, "target": there}, **more)

    def look(self, path, **more):
        """(plan or None, findings) of the real plan maker, run in the room."""
        asked = json.dumps({"path": path, "more": dict({"protected": SETTINGS["protected"]}, **more)})
        said = json.loads(self.run(["env", "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=/intact-src", "python3", "-c", LOOK], stdin=asked))
        return said["plan"], said["findings"]

    def install(self, path, plan, **settings):
        """Install the runner as the module does, but for systemd's units."""
        for relative, text in self._files():
            self.write("%s/runner/%s" % (self.directory, relative), text)
        job = {"flight": "f-1", "plan": plan, "release_path": path, "settings": dict(SETTINGS, **settings), "binding": {}}
        self.write(self.directory + "/job.json", json.dumps(job), "600")

    def _files(self):
        import io
        import tarfile

        buffer = io.BytesIO()
        with tarfile.open(fileobj=buffer, mode="w") as archive:
            for relative, text in _install.files().items():
                data = text.encode()
                member = tarfile.TarInfo(relative)
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        words = self.words(["sh", "-c", "mkdir -p %s/runner && tar -x -C %s/runner" % (self.directory, self.directory)])
        subprocess.run(words, input=buffer.getvalue(), check=True)
        return []

    def begin(self):
        """Start the installed runner as its unit does, without waiting."""
        log = open(self.top / "runner.log", "ab")  # noqa: SIM115 (closed below, the process has it)
        process = subprocess.Popen(
            self.words(["python3", "-I", "-B", self.directory + "/runner/__main__.py", self.directory]),
            stdout=log,
            stderr=log,
            stdin=subprocess.DEVNULL,
            cwd="/",
        )
        log.close()
        return process

    def fly(self):
        """Run the installed runner to its end; returns its state."""
        rc = self.begin().wait()
        assert rc == 0, (self.top / "runner.log").read_text()[-3000:]
        return self.state()

    def again(self):
        """What starting a failed flight again does to its state, as _install.renew: failed stages are open, the count is anew."""
        program = "from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _install, _state; _install.renew(_state.load('f-1'))"
        self.run(["env", "PYTHONDONTWRITEBYTECODE=1", "PYTHONPATH=/intact-src", "python3", "-c", program])

    def state(self):
        """The flight's state."""
        return json.loads(self.read(self.directory + "/state.json") or "{}")

    def log(self):
        """The log of the package commands."""
        return self.read("/var/lib/intact/flights/f-1/packages.log")

    def notes(self):
        """Texts of the journal's notes."""
        lines = self.read("/var/lib/intact/flights/f-1/journal.jsonl").splitlines()
        events = [json.loads(line) for line in lines]
        return [event["text"] for event in events if event["event"] == "note"]

    def installed(self):
        """Sorted name-version of all packages, asked of rpm."""
        return sorted(self.run(["rpm", "-qa", "--qf", "%{NAME}-%{VERSION}\n"]).split())

    def wait_for(self, path, seconds=900):
        """Wait until a file is there; its text."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            text = self.read(path)
            if text:
                return text
            time.sleep(0.1)
        raise AssertionError("%s did not come: %s" % (path, self.log()[-3000:]))

    def wait_for_state(self, key, value, seconds=900):
        """Wait until a field of the state has a value."""
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            state = self.state()
            if state.get(key) == value:
                return state
            if state.get("status") == "failed":
                break
            time.sleep(0.1)
        raise AssertionError("%s did not become %r: %s %s" % (key, value, self.state().get("message"), self.log()[-2000:]))

    def kill(self, name):
        """kill -9 of every process of a name in the room; how many there were."""
        script = 'n=0; for p in /proc/[0-9]*; do [ "$(cat $p/comm 2>/dev/null)" = "$1" ] && kill -9 ${p#/proc/} && n=$((n+1)); done; echo $n'
        return int(self.run(["sh", "-c", script, "sh", name]))


OLD = ["lab-sh", "lab-conf", "lab-lib", "lab-script", "lab-slow", "lab-late", "lab-guard", "lab-big", "lab-user", "lab-down"]
OLD.append("lab-oldname-which-is-long-so-that-tables-are-broken-over-two-lines")
NEW = sorted(name + "-2" for name in OLD[:8]) + ["lab-down-4", "lab-newname-which-is-long-so-that-tables-are-broken-over-two-lines-2"]
NEW = sorted(NEW)
