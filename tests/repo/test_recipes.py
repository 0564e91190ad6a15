# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Image recipes: refused when wrong, built parents first, and keyed by everything that shapes the image."""

from __future__ import annotations

from pathlib import Path

import pytest

import lab_images
import recipes

ROOT = Path(__file__).resolve().parents[2]


@pytest.mark.parametrize(
    ("data", "text"),
    [
        ([], "expected a mapping"),
        ({}, "exactly one of"),
        ({"debian": "bookworm", "from": "x"}, "exactly one of"),
        ({"debian": "bookworm", "package": ["a"]}, "unknown key package"),
        ({"debian": "bookworm", "packages": "a b"}, "'packages' must be a list of strings"),
        ({"from": "x", "run": [1]}, "'run' must be a list of strings"),
        ({"debian": "bookworm", "pypi": True}, "'pypi' is for recipes that are made 'from' another one"),
    ],
)
def test_wrong_recipe_is_refused_with_its_name(data, text):
    with pytest.raises(recipes.RecipeError, match="image recipe web.yml: .*" + text):
        recipes.parse("web", data)


def some():
    return {
        "base": recipes.parse("base", {"debian": "bookworm", "packages": ["systemd"]}),
        "mid": recipes.parse("mid", {"from": "base", "packages": ["a"]}),
        "top": recipes.parse("top", {"from": "mid"}),
    }


def test_parents_come_first_and_once():
    assert [r.name for r in recipes.build_order(some(), ["top", "mid"])] == ["base", "mid", "top"]


def test_unknown_name_says_what_there_is():
    with pytest.raises(recipes.RecipeError, match="no image recipe 'nope'; known: base, mid, top"):
        recipes.build_order(some(), ["nope"])


def test_circle_is_found():
    ring = {name: recipes.parse(name, {"from": other}) for name, other in (("a", "b"), ("b", "a"))}
    with pytest.raises(recipes.RecipeError, match="a -> b -> a"):
        recipes.build_order(ring, ["a"])


def test_key_changes_with_each_thing_that_shapes_the_image():
    base = recipes.parse("base", {"debian": "bookworm", "packages": ["systemd"]})
    other = recipes.parse("base", {"debian": "bookworm", "packages": ["systemd", "cron"]})
    child = recipes.parse("web", {"from": "base", "packages": ["nginx"]})
    keys = [
        recipes.key(base, "", ["m"]),
        recipes.key(base, "", ["other mirror"]),
        recipes.key(other, "", ["m"]),
        recipes.key(child, "1", ["m"]),
        recipes.key(child, "2", ["m"]),
    ]
    assert len(set(keys)) == len(keys)
    assert recipes.key(child, "1", ["m"]) == recipes.key(child, "1", ["other mirror"]), "the mirror counts once, in the base"


def test_pip_in_a_guest_gets_what_this_machine_trusts(tmp_path, monkeypatch):
    ran = []
    monkeypatch.setattr(lab_images, "run", lambda _text, argv, _log: ran.append(argv))
    for name in (*lab_images.CERTIFICATES, *lab_images.PIP_SETTINGS):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(lab_images, "SYSTEM_CERTIFICATES", str(tmp_path / "none"))
    assert lab_images.pip_environment("guest", tmp_path) == [] and ran == []
    bundle = tmp_path / "ca.crt"
    bundle.write_text("certificate")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(bundle))
    monkeypatch.setenv("PIP_INDEX_URL", "https://pypi.example/simple")
    # an index may hold a password: its value is no argument
    assert lab_images.pip_environment("guest", tmp_path) == ["-e", "PIP_INDEX_URL", "-e", "PIP_CERT=/tmp/lab-certificates.crt"]
    assert ran == [["docker", "cp", "-L", str(bundle), "guest:/tmp/lab-certificates.crt"]]


def test_only_recipes_that_use_pip_change_their_hash_by_it():
    plain = {"from": "base", "packages": ["a"]}
    same = recipes.key(recipes.parse("x", dict(plain, pypi=False)), "1", [])
    assert recipes.key(recipes.parse("x", plain), "1", []) == same != recipes.key(recipes.parse("x", dict(plain, pypi=True)), "1", [])


def test_recipes_of_the_lab_are_valid_and_name_the_three_releases():
    known = recipes.load(ROOT / "molecule" / "_shared" / "images")
    assert {"bullseye", "bookworm", "trixie"} <= {recipe.debian for recipe in known.values()}
    assert len(recipes.build_order(known, known)) == len(known)
