# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What every seeding script shares: put a file, run a command, say what changed.

The scripts run on the lab server. Each looks before it writes, so a second run prints nothing and changes nothing.
"""

from __future__ import annotations

import grp
import os
import pwd
import subprocess
import sys
import time
from pathlib import Path

TREE = Path(__file__).resolve().parent / "tree"
# Every file with a made-up age is this old: the same on each seeding (2 March 2024, 08:00 UTC).
EPOCH = 1709366400


def changed(text: str) -> None:
    """One line per change; the role's tasks look for the word at its start."""
    print(f"changed: {text}", flush=True)


def run(*argv: str, data: bytes | str | None = None, check: bool = True) -> str:
    """Standard output of a command; leaves the script with its own message when it fails."""
    if isinstance(data, str):
        data = data.encode()
    env = {**os.environ, "LC_ALL": "C.UTF-8"}
    stdin = {"input": data} if data is not None else {"stdin": subprocess.DEVNULL}
    done = subprocess.run(argv, capture_output=True, env=env, check=False, **stdin)
    if check and done.returncode:
        sys.exit(f"{' '.join(argv)[:200]}: exit code {done.returncode}\n{done.stderr.decode(errors='replace')[-2000:]}")
    return done.stdout.decode(errors="surrogateescape")


def succeeds(*argv: str) -> bool:
    """Whether a command ends with 0; nothing is printed."""
    null = subprocess.DEVNULL
    return subprocess.run(argv, stdin=null, stdout=null, stderr=null, check=False).returncode == 0


def ids(owner: str) -> tuple[int, int]:
    """Numbers of "user:group", either of which may already be a number."""
    user, group = owner.split(":")
    uid = int(user) if user.isdigit() else pwd.getpwnam(user).pw_uid
    gid = int(group) if group.isdigit() else grp.getgrnam(group).gr_gid
    return uid, gid


def folder(path: str | Path, mode: int = 0o755, owner: str = "root:root") -> None:
    """Make a directory (parents as root, 0755) with this mode and owner."""
    path = Path(path)
    if not path.is_dir():
        path.mkdir(parents=True)
        changed(f"directory {path}")
    uid, gid = ids(owner)
    info = path.stat()
    if (info.st_uid, info.st_gid) != (uid, gid):
        os.chown(path, uid, gid)
    if info.st_mode & 0o7777 != mode:
        path.chmod(mode)


def _unless(told: bool, text: str) -> None:
    if not told:
        changed(text)


def put(path: str | Path, data: bytes | str, mode: int = 0o644, owner: str = "root:root", mtime: int = 0) -> bool:
    """Write a file unless it already reads so; mtime in seconds since 1970 (0: now). True when it was written."""
    path = Path(path)
    if isinstance(data, str):
        data = data.encode()
    fresh = not path.is_file() or path.read_bytes() != data
    uid, gid = ids(owner)
    if fresh:
        path.parent.mkdir(parents=True, exist_ok=True)
        if path.exists():
            path.unlink()
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "wb") as out:
            out.write(data)
        changed(f"file {path}")
    info = path.stat()
    if (info.st_uid, info.st_gid) != (uid, gid):
        os.chown(path, uid, gid)
        _unless(fresh, f"owner of {path}")
    if path.stat().st_mode & 0o7777 != mode:
        path.chmod(mode)
        _unless(fresh, f"mode of {path}")
    if fresh and mtime:
        os.utime(path, (mtime, mtime))
    return fresh


def place(name: str, mode: int = 0o644, owner: str = "root:root") -> bool:
    """Put tree/NAME at /NAME; True when it was written."""
    return put("/" + name, (TREE / name).read_bytes(), mode, owner)


def place_all(prefix: str, mode: int = 0o644, owner: str = "root:root") -> bool:
    """Put every file below tree/PREFIX at its place; True when one was written."""
    names = sorted(str(p.relative_to(TREE)) for p in (TREE / prefix).rglob("*") if p.is_file())
    placed = [place(name, mode, owner) for name in names]
    return any(placed)


def link(path: str, target: str) -> bool:
    """Make a symbolic link; True when it was made."""
    if os.path.islink(path) and os.readlink(path) == target:
        return False
    if os.path.lexists(path):
        os.unlink(path)
    os.symlink(target, path)
    changed(f"link {path}")
    return True


def absent(path: str) -> bool:
    """Remove a file or link; True when there was one."""
    if not os.path.lexists(path):
        return False
    os.unlink(path)
    changed(f"removed {path}")
    return True


def service(name: str, restart: bool = False, reload: bool = False) -> None:
    """Enable and start a unit; restart or reload it when its configuration changed."""
    if run("systemctl", "is-enabled", name, check=False).strip() not in ("enabled", "static", "alias", "generated"):
        run("systemctl", "enable", "-q", name)
        changed(f"enabled {name}")
    if not succeeds("systemctl", "is-active", name):
        run("systemctl", "start", name)
        changed(f"started {name}")
    elif restart:
        run("systemctl", "restart", name)
    elif reload:
        run("systemctl", "reload", name)


def wait(what: str, test, seconds: float = 30.0) -> None:
    """Poll until test() is true; leaves the script saying what did not come."""
    end = time.monotonic() + seconds
    while not test():
        if time.monotonic() > end:
            sys.exit(f"waited {seconds:.0f} s in vain for {what}")
        time.sleep(0.2)


def edit(path: str, *changes: tuple[str, str]) -> bool:
    """Edit a shipped file in place, as administrators do: each pair is a line that is there and what replaces it.

    A pair whose new text is in the file and whose old one is not is done. Leaves the script when neither is there.
    True when edited.
    """
    text = Path(path).read_text(encoding="utf-8")
    before = text
    for old, new in changes:
        if new in text and (old in new or old not in text):
            continue
        if old not in text:
            sys.exit(f"{path}: the line to edit is not there: {old!r}")
        text = text.replace(old, new, 1)
    if text == before:
        return False
    info = os.stat(path)
    return put(path, text, info.st_mode & 0o7777, f"{info.st_uid}:{info.st_gid}")
