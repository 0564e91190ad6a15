# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The repository's own linters find what they are for."""

from __future__ import annotations

import pytest

import check_names
import check_roles


# Put together here, so that this file does not hold what it forbids.
@pytest.mark.parametrize(
    ("host", "what"),
    [
        (".".join(("deb", "debian", "org")), "package mirror"),
        (".".join(("ftp", "de", "debian", "org")), "package mirror"),
        (".".join(("security", "ubuntu", "com")), "package mirror"),
        (".".join(("pypi", "org")), "package registry"),
        (".".join(("ghcr", "io")) + "/x/y", "container registry"),
        (".".join(("docker", "io")) + "/library/debian", "container registry"),
    ],
)
def test_mirror_and_registry_names_are_found(host, what):
    assert check_names.problems("f", f"first\nimage: {host}\n") == [f"f:2: names a {what}: {host.split('/')[0]}{'/' if host.startswith('docker') else ''}"]


@pytest.mark.parametrize("text", ["apt-get install docker.io", "https://www.debian.org/releases/trixie/", "http://deb.example.com/debian", "/workspace/x"])
def test_other_names_are_fine(text):
    assert check_names.problems("f", text) == []


def test_path_of_one_machine_is_found():
    path = "/".join(("", "work", "main"))
    assert check_names.problems("f", f"cd {path}/roles") == [f"f:1: names a path of one machine: {path}"]


OPTION = {"type": "str", "description": "What."}


def problems(options, defaults, without_value=(), entry="main", **spec):
    specs = {"main": {"short_description": "m", "options": {}}}
    specs[entry] = {"short_description": "e", "options": options, **spec}
    return check_roles.spec_problems("r", specs, defaults, set(without_value), {"main", "other"})


@pytest.mark.parametrize("entry", ["main", "other"])
def test_spec_and_defaults_that_agree(entry):
    options = {"r_a": {**OPTION, "default": "x"}, "r_b": {**OPTION, "required": True}}
    assert problems(options, {"r_a": "x"}, {"r_b"}, entry) == []


@pytest.mark.parametrize(
    ("options", "defaults", "text"),
    [
        ({"r_a": OPTION}, {}, "main: r_a: not in defaults/main.yml, neither with a value nor commented out"),
        ({"r_a": {**OPTION, "default": 1}}, {"r_a": 2}, "main: r_a: the spec tells the default 1, defaults/main.yml says 2"),
        ({"r_a": {**OPTION, "required": True}}, {"r_a": 2}, "main: r_a: required, but defaults/main.yml gives it a value"),
        ({"r_a": {"type": "str"}}, {"r_a": 2}, "main: r_a: needs a type and a description"),
        ({"a": OPTION}, {"a": 2}, "main: a: the name does not start with r_"),
        ({}, {"r_a": 2}, "defaults/main.yml: r_a is in no entry point of meta/argument_specs.yml"),
    ],
)
def test_spec_and_defaults_that_differ(options, defaults, text):
    assert problems(options, defaults) == [text]


def test_default_made_from_other_variables_is_not_compared():
    assert problems({"r_a": {**OPTION, "default": "/var"}}, {"r_a": "{{ intact_a | default('/var') }}"}) == []


def test_entry_point_without_tasks_is_found():
    assert problems({}, {}, entry="third") == ["entry point 'third' has no tasks/third.yml"]


README = "# r\n\nSays at some length what this role is good for.\n" + "".join(
    f"\n## {title}\n\nx\n" for title in ("What it changes", "How to undo", "Idempotence", "Check mode", "Example")
)


def test_readme_with_all_sections():
    assert check_roles.readme_problems(README) == []


@pytest.mark.parametrize(
    ("old", "new", "text"),
    [
        ("## How to undo\n\nx\n", "", "README.md: has no section on how to undo"),
        ("## Example\n\nx\n", "## Example\n", "README.md: the section on example is empty"),
        ("Says at some length what this role is good for.", "x", "README.md: says no purpose below its title"),
        ("# r\n", "", "README.md: does not begin with a title"),
    ],
)
def test_readme_that_lacks_something(old, new, text):
    assert check_roles.readme_problems(README.replace(old, new, 1)) == [text]


def test_task_names_say_which_file_they_stand_in(tmp_path):
    (tmp_path / "tasks").mkdir()
    (tmp_path / "tasks" / "main.yml").write_text("- name: Include\n")
    (tmp_path / "tasks" / "apply.yml").write_text("- name: apply | Outer\n  block:\n    - name: Inner\n  rescue:\n    - name: Apply | Other\n")
    assert check_roles.name_problems(tmp_path) == ["tasks/apply.yml: the task name 'Inner' should start with 'apply | '"]
