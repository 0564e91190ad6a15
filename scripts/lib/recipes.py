# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image recipes: what they may say, in which order they build, and the hash that keys them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

import yaml

# Raise when the builder itself changes what comes out of the same recipe.
BUILDER = 1


class RecipeError(Exception):
    """A recipe that cannot be used; the message names the file and the fix."""


@dataclass(frozen=True)
class Recipe:
    """One image: a Debian release (`debian`) or another recipe (`parent`), packages and commands on top."""

    name: str
    debian: str = ""
    parent: str = ""
    merged_usr: bool = False
    recommends: bool = False
    pypi: bool = False
    packages: tuple[str, ...] = ()
    debconf: tuple[str, ...] = ()
    run: tuple[str, ...] = field(default=())


# pypi: its commands use pip; they get this machine's certificates, index and proxy.
KEYS = {"debian", "from", "merged_usr", "recommends", "pypi", "packages", "debconf", "run"}


def parse(name: str, data: object) -> Recipe:
    """Recipe of a loaded YAML document; raises RecipeError for anything it does not understand."""
    where = f"image recipe {name}.yml"
    if not isinstance(data, dict):
        raise RecipeError(f"{where}: expected a mapping with the keys {', '.join(sorted(KEYS))}")
    unknown = set(data) - KEYS
    if unknown:
        raise RecipeError(f"{where}: unknown key {', '.join(sorted(map(str, unknown)))}")
    if bool(data.get("debian")) == bool(data.get("from")):
        raise RecipeError(f"{where}: give exactly one of 'debian' (a release) and 'from' (another recipe)")
    if data.get("pypi") and data.get("debian"):
        raise RecipeError(f"{where}: 'pypi' is for recipes that are made 'from' another one")
    for key in ("packages", "debconf", "run"):
        value = data.get(key) or []
        if not isinstance(value, list) or not all(isinstance(item, str) for item in value):
            raise RecipeError(f"{where}: '{key}' must be a list of strings")
    return Recipe(
        name=name,
        debian=data.get("debian") or "",
        parent=data.get("from") or "",
        merged_usr=bool(data.get("merged_usr", False)),
        recommends=bool(data.get("recommends", False)),
        pypi=bool(data.get("pypi", False)),
        packages=tuple(data.get("packages") or ()),
        debconf=tuple(data.get("debconf") or ()),
        run=tuple(data.get("run") or ()),
    )


def load(folder: Path) -> dict[str, Recipe]:
    """All recipes of a folder, by name."""
    found = {}
    for path in sorted(folder.glob("*.yml")):
        try:
            found[path.stem] = parse(path.stem, yaml.safe_load(path.read_text(encoding="utf-8")))
        except yaml.YAMLError as exc:
            raise RecipeError(f"image recipe {path.name}: not valid YAML: {exc}") from exc
    return found


def build_order(recipes: dict[str, Recipe], names: Iterable[str]) -> list[Recipe]:
    """The named recipes and all their parents, parents first, each once."""
    order: list[Recipe] = []

    def visit(name: str, chain: tuple[str, ...]) -> None:
        if name in chain:
            raise RecipeError(f"image recipes refer to each other in a circle: {' -> '.join((*chain, name))}")
        if name not in recipes:
            raise RecipeError(f"there is no image recipe '{name}'; known: {', '.join(sorted(recipes))}")
        recipe = recipes[name]
        if recipe.parent:
            visit(recipe.parent, (*chain, name))
        if recipe not in order:
            order.append(recipe)

    for name in names:
        visit(name, ())
    return order


def key(recipe: Recipe, parent_key: str, machine: Iterable[str]) -> str:
    """Twelve hex digits that change with the recipe, its parent, the builder or the machine's mirrors.

    `machine` counts for the images made from a Debian release only: the others get it from their parent.
    """
    basis = {
        "builder": BUILDER,
        # a key that few recipes have must not change the hash of all others
        "recipe": {k: v for k, v in asdict(recipe).items() if k != "name" and (k != "pypi" or v)},
        "parent": parent_key,
        "machine": list(machine) if recipe.debian else [],
    }
    return hashlib.sha256(json.dumps(basis, sort_keys=True).encode()).hexdigest()[:12]
