# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What is compared: our program as it is installed on a host, plain restic with the settings that our job gives it, borg with its own."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import subprocess
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from ansible_collections.intact.hosting.plugins.module_utils._backup import _install, _rules

HOST = "bench"
PYTHON = "/usr/bin/python3"  # the host's own, as in the unit
PASSWORD = "measured"
# Where the program looks on a host, and what it finds there while it is measured.
PLACES = {"/etc/intact/backup": "etc", "/var/lib/intact/backup": "home", "/var/cache/intact": "cache"}


@dataclass
class Spent:
    """What a program took, with everything that it started."""

    cpu: float = 0.0
    wall: float = 0.0

    def __add__(self, other: Spent) -> Spent:
        return Spent(self.cpu + other.cpu, self.wall + other.wall)


def spend(argv: list[str], environment: dict[str, str], log: Path) -> Spent:
    """Run a program to its end, and until what it wrote is on the disk: a second repository pays for the first one's pages."""
    os.sync()
    with log.open("ab") as out:
        began = time.monotonic()
        process = subprocess.Popen(argv, stdin=subprocess.DEVNULL, stdout=out, stderr=out, env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **environment})
        try:
            _pid, status, usage = os.wait4(process.pid, 0)
        except BaseException:
            process.terminate()
            process.wait()
            raise
        os.sync()
        wall = time.monotonic() - began
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise SystemExit(f"{' '.join(argv)} ended with {process.returncode}:\n{log.read_text(errors='replace')[-3000:]}")
    return Spent(usage.ru_utime + usage.ru_stime, wall)


class Contender:
    """A program with fresh repositories of its own below a directory."""

    def __init__(self, name: str, place: Path, data: Path, repositories: int = 1) -> None:
        self.name, self.place, self.data = name, place, data
        place.mkdir(parents=True)
        self.log = place / "log"
        self.repositories = [place / f"repository-{number}" for number in range(repositories)]

    def begin(self) -> None:
        """Make the repositories."""

    def backup(self) -> Spent:
        """One backup into all of them."""
        raise NotImplementedError

    def remove(self) -> None:
        """Take everything away again."""
        shutil.rmtree(self.place)


class Restic(Contender):
    """restic alone: the same exclude file, host, tag and compression."""

    def begin(self) -> None:
        (self.place / "password").write_text(PASSWORD)
        (self.place / "password").chmod(0o600)
        (self.place / "excludes").write_bytes(_rules.exclude_file(list(_rules.EXCLUDED)))
        (self.place / "sources").write_bytes(os.fsencode(self.data) + b"\0")
        for repository in self.repositories:
            spend(["restic", "init"], self.environment(repository), self.log)

    def environment(self, repository: Path) -> dict[str, str]:
        return {
            "RESTIC_REPOSITORY": str(repository),
            "RESTIC_PASSWORD_FILE": str(self.place / "password"),
            "RESTIC_CACHE_DIR": str(self.place / "cache"),
            "HOME": str(self.place),
        }

    def backup(self) -> Spent:
        sources = ["--files-from-raw", str(self.place / "sources"), "--exclude-file", str(self.place / "excludes")]
        argv = ["restic", "backup", "--json", "--host", HOST, "--tag", "intact", *sources]
        return sum((spend(argv, {**self.environment(r), "RESTIC_PROGRESS_FPS": "0.5"}, self.log) for r in self.repositories), Spent())


class Ours(Restic):
    """Our program: manifest, second look, the snapshot's list held against the manifest, locks, clock, state."""

    def begin(self) -> None:
        super().begin()
        self.program = install(self.place / "program")
        for name in PLACES.values():
            (self.place / name).mkdir()
        repositories = [{"name": r.name, "url": str(r), "password_file": str(self.place / "password")} for r in self.repositories]
        # local repositories are none in the eyes of a job, unless somebody answers for them
        waiver = {"id": "backup.repositories.few", "subject": HOST, "reason": "a measurement", "who": "the benchmark", "expires": "2999-01-01"}
        classes: dict[str, dict] = {name: {"enabled": False} for name in ("databases", "mail", "lists", "panel", "system")}
        classes["files"] = {"enabled": True, "paths": [str(self.data)]}
        job = {"host": HOST, "repositories": repositories, "classes": classes, "waivers": [waiver], "limits": {"nice": 0}}
        (self.place / "etc" / "job.json").write_text(json.dumps(job))

    def backup(self) -> Spent:
        # in a mount namespace of its own: the host's real job and state are not seen
        mounts = "".join(f"mount --bind {self.place / name} {there} && " for there, name in PLACES.items())
        start = f"{mounts}exec {PYTHON} -I -B {self.program} run files"
        with here(PLACES):
            return spend(["unshare", "--mount", "sh", "-c", start], {}, self.log)


class Borg(Contender):
    """borg with its default compression and an encrypted repository."""

    def begin(self) -> None:
        for repository in self.repositories:
            spend(["borg", "init", "--encryption", "repokey-blake2", str(repository)], self.environment(), self.log)

    def environment(self) -> dict[str, str]:
        return {"BORG_PASSPHRASE": PASSWORD, "BORG_BASE_DIR": str(self.place / "borg"), "HOME": str(self.place)}

    def backup(self) -> Spent:
        def one(repository: Path) -> Spent:
            return spend(["borg", "create", f"{repository}::{{now:%s.%f}}", str(self.data)], self.environment(), self.log)

        return sum((one(r) for r in self.repositories), Spent())


def install(place: Path) -> Path:
    """Our program's sources as backup_install puts them on a host; the path of what starts it."""
    for relative, text in _install.files().items():
        path = place / relative
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return place / "__main__.py"


@contextlib.contextmanager
def here(places: Iterable[str]) -> Iterator[None]:
    """Directories to mount something on; those that were not there are taken away again."""
    made: list[Path] = []
    try:
        for place in map(Path, places):
            missing = [folder for folder in (place, *place.parents) if not folder.exists()]
            for folder in reversed(missing):
                folder.mkdir(mode=0o700)
                made.append(folder)
        yield
    finally:
        for folder in reversed(made):
            folder.rmdir()
