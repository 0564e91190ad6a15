# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Release paths: found by name or pattern, the operator's own first, and refused in one sentence."""

from __future__ import annotations

import pytest
import yaml
from ansible.errors import AnsibleLookupError

from ansible_collections.intact.hosting.plugins.lookup import release_path as lookup

TEXT = "name: %s\nsource: {id: debian, version: '12', codename: bookworm}\ntarget: {id: debian, version: '13', codename: trixie}\n"


@pytest.fixture(name="places")
def _places(tmp_path):
    own, shipped = tmp_path / "own", tmp_path / "shipped"
    for place, names in ((own, ["debian-12-13"]), (shipped, ["debian-12-13", "debian-13-14", "ubuntu-22.04-24.04"])):
        place.mkdir()
        for name in names:
            (place / (name + ".yml")).write_text(TEXT % (place.name + " " + name), encoding="utf-8")
    return [str(own), str(shipped)]


@pytest.mark.parametrize(
    "name, expected", [("debian-12-13", "own debian-12-13"), ("debian-13-*", "shipped debian-13-14"), ("ubuntu-22.04-*", "shipped ubuntu-22.04-24.04")]
)
def test_a_name_or_a_pattern(places, name, expected):
    assert lookup.read(lookup.find(name, places))["name"] == expected


@pytest.mark.parametrize(
    "name, word", [("debian-10-*", "no release path"), ("debian-*", "more than one"), ("../../etc/passwd", "is not the name"), ("", "is not the name")]
)
def test_what_cannot_be_found_says_what_there_is(places, name, word):
    with pytest.raises(AnsibleLookupError, match=word) as caught:
        lookup.find(name, places)
    assert "debian-12-13" in str(caught.value)


def test_a_minor_version_is_told_which_path_starts_from_its_release_as_a_whole():
    places = lookup.directories("")
    with pytest.raises(AnsibleLookupError, match=r"almalinux-8.10\). almalinux-8-9 starts from it as a whole.*set intact_release_path to almalinux-8-9"):
        lookup.find("almalinux-8.10-*", places)
    with pytest.raises(AnsibleLookupError, match=r"no release path almalinux-7\.9-"):
        lookup.find("almalinux-7.9-*", places)
    assert lookup.read(lookup.find("opensuse-leap-15.6-*", places))["name"] == "opensuse-leap-15.6-16.0"


@pytest.mark.parametrize("text, word", [("a: [", "cannot be read"), ("name: x\n", "lacks source, target"), ("", "lacks name")])
def test_a_file_that_is_no_release_path(tmp_path, text, word):
    path = tmp_path / "x.yml"
    path.write_text(text, encoding="utf-8")
    with pytest.raises(AnsibleLookupError, match=word):
        lookup.read(str(path))


def test_the_shipped_paths_are_found_and_sound():
    places = lookup.directories("")
    data = lookup.read(lookup.find("debian-12-13", places))
    assert data["name"] == "debian-12-13" and data["suites"]["bookworm"] == "trixie"


@pytest.mark.parametrize(("pattern", "expected"), [("debian-*", ["own debian-12-13", "shipped debian-13-14"]), ("debian-14-*", []), ("x[", [])])
def test_every_path_of_a_pattern_which_may_be_none(places, pattern, expected):
    assert [lookup.read(path)["name"] for path in lookup.find_every(pattern, places)] == expected


def test_without_a_directory_of_ones_own_the_current_one_is_not_looked_at(tmp_path, monkeypatch):
    """An option of type path would make the current directory of an empty one: in AWX the project's, full of other files."""
    (tmp_path / "galaxy.yml").write_text("namespace: x\n", encoding="utf-8")
    monkeypatch.chdir(tmp_path)
    assert yaml.safe_load(lookup.DOCUMENTATION)["options"]["directory"]["type"] == "str"
    assert not any(place.startswith(str(tmp_path)) for place in lookup.directories(""))
    plugin, said = lookup.LookupModule(), {"directory": "", "every": True}
    monkeypatch.setattr(plugin, "set_options", lambda **more: None)
    monkeypatch.setattr(plugin, "get_option", said.get)
    assert {"debian-11-12", "debian-12-13"} <= {path["name"] for path in plugin.run(["*"])}
    said["every"] = False
    assert [path["name"] for path in plugin.run(["debian-12-*"])] == ["debian-12-13"]


def test_a_directory_of_ones_own_may_be_said_with_a_tilde(monkeypatch):
    monkeypatch.setenv("HOME", "/home/jane")
    assert lookup.directories("~/paths")[0] == "/home/jane/paths"
