# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Kinds of faults: how each is made, taken back and found, with the host's own tools and never with Intact's."""

from __future__ import annotations

import contextlib
import glob
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

STATE = Path("/var/lib/intact-faults")
Argv = tuple[str, ...]


def run(*argv: str, data: str | None = None, check: bool = True) -> str:
    done = subprocess.run(argv, input=data, capture_output=True, text=True, errors="surrogateescape", check=False)
    if check and done.returncode:
        sys.exit(f"faults: {' '.join(argv)[:200]} ended with {done.returncode}: {done.stderr.strip()[-500:]}")
    return done.stdout


def ok(*argv: str) -> bool:
    return subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False).returncode == 0


def wait(what: str, ready: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not ready():
        if time.monotonic() > end:
            sys.exit(f"faults: {what} did not come within {seconds:.0f} s")
        time.sleep(0.3)


def rewrite(path: str, old: str, new: str) -> None:
    """Change a file in place: owner, mode and inode stay."""
    text = Path(path).read_text(encoding="utf-8", errors="surrogateescape")
    if old not in text:
        sys.exit(f"faults: {path} does not hold {old!r}")
    with open(path, "r+", encoding="utf-8", errors="surrogateescape") as handle:
        handle.write(text.replace(old, new, 1))
        handle.truncate()


def listening(pattern: str) -> bool:
    return re.search(pattern, run("ss", "-Hltn")) is not None


class Fault:
    """One thing that goes wrong; `keep` is set from its name in the server's list."""

    keep: Path

    def inject(self) -> None:
        raise NotImplementedError

    def undo(self) -> None:
        raise NotImplementedError

    def there(self) -> bool:
        """Whether the fault is on the host now."""
        raise NotImplementedError

    def save(self, *paths: str) -> None:
        """Keep paths with all their attributes, outside every tree that is looked at."""
        self.keep.mkdir(parents=True, exist_ok=True)
        run("tar", "--acls", "--xattrs", "--xattrs-include=*", "-cPf", str(self.keep / "saved.tar"), *paths)

    def restore(self) -> None:
        run("tar", "--acls", "--xattrs", "--xattrs-include=*", "--numeric-owner", "-xpPf", str(self.keep / "saved.tar"))


@dataclass
class Case:
    """A fault, and what it must be told as: exactly this finding about exactly this subject, and nothing besides."""

    fault: Fault
    severity: str
    id: str
    # a shell pattern, unless it is literal
    subject: str
    literal: bool = False
    # (id, subject) of a consequence that must not be left out: that it was seen, and folded
    explains: tuple[str, str] | None = None
    # the rules of a release path allow this consequence, as they have each setting compared by itself; never the fault
    allowed_with_rules: bool = False
    # on the host alone: it explains what others would be
    alone: bool = False


class Commands(Fault):
    """Commands that make it, commands that take it back, and how it is seen."""

    def __init__(self, inject: Argv | list[Argv], undo: Argv | list[Argv], seen: Callable[[], bool]) -> None:
        self.making, self.taking_back, self.seen = inject, undo, seen

    @staticmethod
    def all(commands: Argv | list[Argv]) -> None:
        for argv in [commands] if isinstance(commands, tuple) else commands:
            run(*argv)

    def inject(self) -> None:
        self.all(self.making)
        wait("the fault", self.there)

    def undo(self) -> None:
        self.all(self.taking_back)
        wait("the end of the fault", lambda: not self.there())

    def there(self) -> bool:
        return self.seen()


class Edited(Fault):
    """Lines of files that read otherwise; `then` makes the daemon read them (`back` when it needs another push to go back)."""

    def __init__(
        self,
        path: str,
        *changes: tuple[str, str],
        then: list[Argv] | None = None,
        back: list[Argv] | None = None,
        seen: Callable[[], bool] | None = None,
        ready: Callable[[], bool] = lambda: True,
        derived: tuple[str, ...] = (),
    ) -> None:
        """seen: whether the daemon shows it; ready: whether it answers again; derived: files made of this one, put back with it."""
        self.path, self.changes, self.then, self.back, self.seen, self.ready, self.derived = path, changes, then or [], back, seen, ready, derived

    def inject(self) -> None:
        self.save(self.path, *self.derived)
        for old, new in self.changes:
            rewrite(self.path, old, new)
        Commands.all(self.then)
        wait("the fault", self.there)

    def undo(self) -> None:
        self.restore()
        Commands.all(self.then if self.back is None else self.back)
        wait("the end of the fault", lambda: self.ready() and not self.there())

    def there(self) -> bool:
        if self.seen:
            return self.seen()
        text = Path(self.path).read_text(encoding="utf-8", errors="surrogateescape")
        return all(old not in text for old, _new in self.changes)


class Removed(Fault):
    """A file or a tree that is gone."""

    def __init__(self, path: str, seen: Callable[[], bool] | None = None) -> None:
        self.path, self.seen = path, seen

    def inject(self) -> None:
        self.save(self.path)
        shutil.rmtree(self.path) if os.path.isdir(self.path) else os.unlink(self.path)

    def undo(self) -> None:
        self.restore()

    def there(self) -> bool:
        return self.seen() if self.seen else not os.path.lexists(self.path)


class Emptied(Fault):
    """The directory is still there; there is nothing in it."""

    def __init__(self, folder: str) -> None:
        self.folder = folder

    def inject(self) -> None:
        self.save(self.folder)
        for name in os.listdir(self.folder):
            path = f"{self.folder}/{name}"
            shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)

    def undo(self) -> None:
        self.restore()

    def there(self) -> bool:
        return not os.listdir(self.folder)


class UidChanged(Fault):
    """The number of an account moved; the files in its home still have the old one."""

    def __init__(self, name: str, uid: int) -> None:
        self.name, self.uid = name, uid

    def inject(self) -> None:
        rewrite("/etc/passwd", f"{self.name}:x:{self.uid}:", f"{self.name}:x:{self.uid + 1000}:")

    def undo(self) -> None:
        rewrite("/etc/passwd", f"{self.name}:x:{self.uid + 1000}:", f"{self.name}:x:{self.uid}:")

    def there(self) -> bool:
        return run("id", "-u", self.name).strip() != run("stat", "-c", "%u", f"/home/{self.name}").strip()


def disabled(unit: str) -> Commands:
    """It still runs; after the next reboot it would not."""

    def seen() -> bool:
        return run("systemctl", "is-enabled", unit, check=False).strip() == "disabled" and ok("systemctl", "is-active", unit)

    return Commands(("systemctl", "disable", unit), ("systemctl", "enable", unit), seen)


def stopped(unit: str) -> Commands:
    return Commands(("systemctl", "stop", unit), ("systemctl", "start", unit), lambda: not ok("systemctl", "is-active", unit))


class CertificateReplaced(Fault):
    """Another key under the same name and file, signed by nobody that a browser knows."""

    def __init__(self, name: str, reload: Argv) -> None:
        self.name, self.reload = name, reload
        self.files = (f"/etc/ssl/hosting/{name}.crt", f"/etc/ssl/hosting/{name}.key")

    def inject(self) -> None:
        self.save(*self.files)
        argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "900"]
        argv += ["-subj", f"/CN={self.name}", "-addext", f"subjectAltName=DNS:{self.name}"]
        run(*argv, "-keyout", str(self.keep / "key"), "-out", str(self.keep / "crt"))
        for path, part in zip(self.files, ("crt", "key")):  # noqa: B905 - Debian 11's Python has no strict
            with open(path, "r+", encoding="ascii") as handle:
                handle.write((self.keep / part).read_text(encoding="ascii"))
                handle.truncate()
        run(*self.reload)
        wait("the other certificate", self.there)

    def undo(self) -> None:
        self.restore()
        run(*self.reload)
        wait("the own certificate", lambda: not self.there())

    def there(self) -> bool:
        shown = run("openssl", "s_client", "-connect", "127.0.0.1:443", "-servername", self.name, data="", check=False)
        return self.name in run("openssl", "x509", "-noout", "-issuer", data=shown, check=False)


class FirewallRuleLost(Fault):
    """A rule of the chain input that holds these words; /etc/nftables.conf still has it."""

    def __init__(self, words: str) -> None:
        self.words = words

    def inject(self) -> None:
        listed = run("nft", "-a", "list", "chain", "inet", "hosting", "input")
        handle = re.search(re.escape(self.words) + r".*# handle (\d+)", listed).group(1)
        run("nft", "delete", "rule", "inet", "hosting", "input", "handle", handle)

    def undo(self) -> None:
        run("nft", "-f", "/etc/nftables.conf")

    def there(self) -> bool:
        return self.words not in run("nft", "list", "chain", "inet", "hosting", "input")


class ListenerNew(Fault):
    """Something answers on a port where nothing did."""

    def inject(self) -> None:
        argv = ["python3", "-m", "http.server", "8099", "--directory", "/usr/share/doc"]
        self.keep.mkdir(parents=True, exist_ok=True)
        done = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True)
        (self.keep / "pid").write_text(str(done.pid), encoding="ascii")
        wait("port 8099", self.there)

    def undo(self) -> None:
        os.kill(int((self.keep / "pid").read_text(encoding="ascii")), signal.SIGTERM)
        wait("port 8099 to close", lambda: not self.there())

    def there(self) -> bool:
        return listening(r":8099\s")


class PackageRemoved(Fault):
    """A tool that no plan named."""

    def __init__(self, name: str, program: str) -> None:
        self.name, self.program = name, program

    def inject(self) -> None:
        files = [path for path in run("dpkg", "-L", self.name).splitlines() if os.path.isfile(path) or os.path.islink(path)]
        self.save("/var/lib/dpkg/status", *glob.glob(f"/var/lib/dpkg/info/{self.name}.*"), *files)
        run("dpkg", "--purge", self.name)

    def undo(self) -> None:
        self.restore()

    def there(self) -> bool:
        return not ok("dpkg", "-s", self.name) and shutil.which(self.program) is None


class Ipv6BindingLost(Fault):
    """sshd on IPv4 alone: every test over IPv4 is green."""

    folder = "/run/systemd/system/ssh.service.d"

    def inject(self) -> None:
        os.makedirs(self.folder, exist_ok=True)
        Path(f"{self.folder}/four.conf").write_text("[Service]\nExecStart=\nExecStart=/usr/sbin/sshd -D -4\n", encoding="ascii")
        self.restart()
        wait("sshd on IPv4 alone", self.there)

    def undo(self) -> None:
        os.unlink(f"{self.folder}/four.conf")
        os.rmdir(self.folder)
        self.restart()
        wait("sshd on IPv6", lambda: not self.there())

    def restart(self) -> None:
        run("systemctl", "daemon-reload")
        run("systemctl", "restart", "ssh.service")
        wait("sshd", lambda: listening(r"0\.0\.0\.0:22\s"))

    def there(self) -> bool:
        return listening(r"0\.0\.0\.0:22\s") and not listening(r"\[::\]:22\s")


class PostfixQueueVanished(Fault):
    """What customers had sent and nobody had taken yet."""

    def inject(self) -> None:
        self.keep.mkdir(parents=True, exist_ok=True)
        moved: dict[str, str] = {}

        def gone() -> bool:
            # one that is being tried right now is not among the deferred ones; it comes back to them
            for path in glob.glob("/var/spool/postfix/defer*/?/*"):
                # a rename keeps the inode, which is a part of the message's name in the queue
                kept = str(self.keep / str(len(moved)))
                with contextlib.suppress(FileNotFoundError):
                    os.rename(path, kept)
                    moved[kept] = path
            (self.keep / "moved.json").write_text(json.dumps(moved), encoding="utf-8")
            return self.there()

        wait("the queue to be empty", gone)

    def undo(self) -> None:
        for kept, path in json.loads((self.keep / "moved.json").read_text(encoding="utf-8")).items():
            os.rename(kept, path)
        wait("the message in the queue", lambda: not self.there())

    def there(self) -> bool:
        return not run("postqueue", "-j").strip()
