# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Copy the collection with its `roles` link resolved, build the tarball there, and prove that it is complete.

Building in the tree would leave out the linked roles without an error. `build --copy-only` stops after the copy.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tarfile
import time
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "collections" / "ansible_collections" / "intact" / "hosting"
BUILD = ROOT / "build"
COPY = BUILD / "copy" / "ansible_collections" / "intact" / "hosting"
INSTALLED = BUILD / "installed"
IGNORED = shutil.ignore_patterns("__pycache__", "*.pyc", "*.tar.gz", ".ansible", ".pytest_cache", "output")


class BuildFailed(Exception):
    """The message is for the person at the terminal."""


def copy_collection() -> Path:
    """A fresh copy with links resolved, in a git repository of its own so that ansible-test sees its files."""
    shutil.rmtree(BUILD / "copy", ignore_errors=True)
    shutil.copytree(SOURCE, COPY, symlinks=False, ignore=IGNORED)
    shutil.copy2(ROOT / "LICENSE", COPY / "LICENSE")
    for command in (["init", "-q"], ["add", "-A"]):
        subprocess.run(["git", "-C", str(COPY), *command], check=True, stdout=subprocess.DEVNULL)
    return COPY


def ansible(*argv: str, **env: str) -> str:
    """Output of one ansible command that sees the installed tarball and no other collection, role or setting."""
    no_settings = BUILD / "empty.cfg"  # ansible takes no /dev/null: the name must end in .cfg
    no_settings.write_text("", encoding="utf-8")
    alone = {"ANSIBLE_COLLECTIONS_PATH": str(INSTALLED), "ANSIBLE_ROLES_PATH": str(BUILD / "none"), "ANSIBLE_CONFIG": str(no_settings)}
    done = subprocess.run(argv, cwd=BUILD, env={**os.environ, **alone, **env}, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildFailed(f"'{' '.join(argv)}' ended with {done.returncode}:\n{done.stdout}{done.stderr}")
    return done.stdout


def expected_files() -> set[str]:
    """Every file that the tarball must hold: the product's own, so not the tests' output or the builder's."""
    found = set()
    for top, prefix in ((SOURCE / "plugins", "plugins"), (ROOT / "roles", "roles"), (SOURCE / "meta", "meta")):
        for path in top.rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                found.add(f"{prefix}/{path.relative_to(top)}")
    return found | {"README.md", "CHANGELOG.md", "LICENSE"}


def check_tarball(tarball: Path, expected: set[str]) -> int:
    """Number of files; raises BuildFailed for anything missing, linked or empty."""
    with tarfile.open(tarball) as archive:
        members = archive.getmembers()
    links = [m.name for m in members if m.issym() or m.islnk()]
    if links:
        raise BuildFailed(f"{tarball.name} holds links, they must be files: {', '.join(links[:5])}")
    inside = {m.name for m in members if m.isfile()}
    missing = sorted(expected - inside)
    if missing:
        raise BuildFailed(f"{tarball.name} lacks {len(missing)} files, first: {', '.join(missing[:5])}")
    roles = sorted(p.name for p in (ROOT / "roles").iterdir() if p.is_dir())
    without = [role for role in roles if f"roles/{role}/tasks/main.yml" not in inside]
    if not roles or without:
        raise BuildFailed(f"{tarball.name} lacks the tasks of these roles: {', '.join(without) or 'there is no role at all'}")
    return len(inside)


def check_installed(tarball: Path) -> tuple[int, int]:
    """Install the tarball alone and name everything in it by FQCN; numbers of modules and roles."""
    shutil.rmtree(INSTALLED, ignore_errors=True)
    ansible("ansible-galaxy", "collection", "install", str(tarball), "-p", str(INSTALLED), "--offline", "--force")
    modules = sorted(p.stem for p in (SOURCE / "plugins" / "modules").glob("*.py") if p.stem != "__init__")
    roles = sorted(p.name for p in (ROOT / "roles").iterdir() if p.is_dir())
    if modules:
        ansible("ansible-doc", "--json", "-t", "module", *[f"intact.hosting.{name}" for name in modules])
    play = [
        {
            "name": "Every role by its full name",
            "hosts": "localhost",
            "gather_facts": False,
            "tasks": [{"name": role, "ansible.builtin.import_role": {"name": f"intact.hosting.{role}"}} for role in roles],
        }
    ]
    playbook = BUILD / "every-role.yml"
    playbook.write_text(yaml.safe_dump(play, sort_keys=False), encoding="utf-8")
    listing = ansible("ansible-playbook", "-i", "localhost,", "--list-tasks", str(playbook))
    for role in roles:
        if f"intact.hosting.{role} : " not in listing:
            raise BuildFailed(f"the installed collection's role intact.hosting.{role} adds no task to a play")
    return len(modules), len(roles)


def main(arguments: list[str]) -> int:
    start = time.monotonic()
    expected = expected_files()
    copy_collection()
    if arguments == ["--copy-only"]:
        return 0
    for old in BUILD.glob("intact-hosting-*.tar.gz"):
        old.unlink()
    done = subprocess.run(
        ["ansible-galaxy", "collection", "build", str(COPY), "--output-path", str(BUILD), "--force"], capture_output=True, text=True, check=False
    )
    if done.returncode != 0:
        raise BuildFailed(f"the tarball cannot be built:\n{done.stdout}{done.stderr}")
    (tarball,) = BUILD.glob("intact-hosting-*.tar.gz")
    files = check_tarball(tarball, expected)
    modules, roles = check_installed(tarball)
    size = tarball.stat().st_size / 1024
    print(f"{tarball.relative_to(ROOT)}: {size:.0f} KiB, {files} files, {modules} modules, {roles} roles, installs alone ({time.monotonic() - start:.0f} s)")
    return 0


if __name__ == "__main__":
    try:
        sys.exit(main(sys.argv[1:]))
    except BuildFailed as problem:
        print(f"build: {problem}", file=sys.stderr)
        sys.exit(1)
