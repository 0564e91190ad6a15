# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Each role is whole: argument specs say what defaults say, for every entry point, and the README has its sections."""

from __future__ import annotations

import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

# What a reader looks for, and the headings it may stand under.
SECTIONS = {
    "what it changes": r"\bchang",
    "how to undo": r"\bundo",
    "idempotence": r"\bidempot|\bsecond run",
    "check-mode limits": r"\bcheck[ -]mode",
    "example": r"\bexample",
}


class UniqueLoader(yaml.SafeLoader):
    """Also reads Ansible's own tags (!vault, !unsafe) as plain values."""


UniqueLoader.add_multi_constructor("!", lambda loader, _suffix, node: loader.construct_scalar(node))


def read_yaml(path: Path) -> Any:
    return yaml.load(path.read_text(encoding="utf-8"), Loader=UniqueLoader) if path.is_file() else None  # noqa: S506 (a SafeLoader underneath)


def commented(text: str, role: str) -> set[str]:
    """Variables that stand commented out in defaults: inputs without a safe value."""
    return set(re.findall(rf"^#\s?({re.escape(role)}_\w+):", text, re.MULTILINE))


def is_template(value: object) -> bool:
    return "{{" in str(value) or "{%" in str(value)


def spec_problems(role: str, specs: dict[str, Any], defaults: dict[str, Any], without_value: set[str], tasks: set[str]) -> list[str]:
    """What is wrong between one role's argument specs, its defaults and its task files."""
    found = []
    if "main" not in specs:
        found.append("meta/argument_specs.yml has no entry point 'main'")
    told: set[str] = set()
    for entry, spec in specs.items():
        if entry not in tasks:
            found.append(f"entry point '{entry}' has no tasks/{entry}.yml")
        if not (spec or {}).get("short_description"):
            found.append(f"entry point '{entry}' has no short_description")
        options = (spec or {}).get("options") or {}
        told |= set(options)
        for name, option in options.items():
            where = f"{entry}: {name}"
            if not name.startswith(role + "_"):
                found.append(f"{where}: the name does not start with {role}_")
            if name not in defaults and name not in without_value:
                found.append(f"{where}: not in defaults/main.yml, neither with a value nor commented out")
            if name in defaults and option.get("required"):
                found.append(f"{where}: required, but defaults/main.yml gives it a value")
            if not option.get("type") or not option.get("description"):
                found.append(f"{where}: needs a type and a description")
            if "default" in option and name not in defaults:
                found.append(f"{where}: the spec tells a default, defaults/main.yml has none")
            elif "default" in option and not is_template(defaults[name]) and option["default"] != defaults[name]:
                found.append(f"{where}: the spec tells the default {option['default']!r}, defaults/main.yml says {defaults[name]!r}")
    for name in sorted((set(defaults) | without_value) - told):
        if name.startswith("__"):
            found.append(f"defaults/main.yml: {name} is internal: put it into vars/main.yml")
        else:
            found.append(f"defaults/main.yml: {name} is in no entry point of meta/argument_specs.yml")
    return found


def readme_problems(text: str) -> list[str]:
    """Sections that are missing or empty in a role's README."""
    parts = re.split(r"^(#+ .*)$", text, flags=re.MULTILINE)
    sections = list(zip(parts[1::2], parts[2::2], strict=True))
    if not sections or not sections[0][0].startswith("# "):
        return ["README.md: does not begin with a title"]
    found = []
    if len(sections[0][1].strip()) < 40 and not any(re.search(r"purpose", h, re.IGNORECASE) and b.strip() for h, b in sections):
        found.append("README.md: says no purpose below its title")
    for what, pattern in SECTIONS.items():
        bodies = [body for heading, body in sections if re.search(pattern, heading, re.IGNORECASE)]
        if not bodies:
            found.append(f"README.md: has no section on {what}")
        elif not any(body.strip() for body in bodies):
            found.append(f"README.md: the section on {what} is empty")
    return found


def name_problems(path: Path) -> list[str]:
    """Task names of the files beside main.yml start with the file's name, so that output says where a task stands."""

    def tasks(entries: Any) -> Iterator[dict[str, Any]]:
        for task in entries or []:
            yield task
            for part in ("block", "rescue", "always"):
                yield from tasks(task.get(part))

    found = []
    for file in sorted((path / "tasks").glob("*.yml")):
        if file.stem == "main":
            continue
        for task in tasks(read_yaml(file)):
            name = str(task.get("name", ""))
            if not name.lower().startswith(f"{file.stem.lower()} | "):
                found.append(f"tasks/{file.name}: the task name '{name}' should start with '{file.stem} | '")
    return found


def role_problems(path: Path) -> list[str]:
    defaults_file = path / "defaults" / "main.yml"
    specs = (read_yaml(path / "meta" / "argument_specs.yml") or {}).get("argument_specs")
    found = [f"{name} is missing" for name in ("meta/main.yml", "tasks/main.yml") if not (path / name).is_file()]
    if specs is None:
        found.append("meta/argument_specs.yml is missing or empty")
    else:
        text = defaults_file.read_text(encoding="utf-8") if defaults_file.is_file() else ""
        tasks = {p.stem for p in (path / "tasks").glob("*.yml")}
        found += spec_problems(path.name, specs, read_yaml(defaults_file) or {}, commented(text, path.name), tasks)
    if (read_yaml(path / "meta" / "main.yml") or {}).get("dependencies"):
        found.append("meta/main.yml: has dependencies; the order between roles is written in playbooks")
    found += name_problems(path)
    readme = path / "README.md"
    found += readme_problems(readme.read_text(encoding="utf-8")) if readme.is_file() else ["README.md is missing"]
    return [f"roles/{path.name}: {text}" for text in found]


def main() -> int:
    root = Path(__file__).resolve().parents[2]
    found = []
    for path in sorted((root / "roles").iterdir()):
        if path.is_dir():
            found += role_problems(path)
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
