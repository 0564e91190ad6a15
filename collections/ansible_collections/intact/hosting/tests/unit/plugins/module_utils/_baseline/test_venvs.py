# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Real Python environments: sound ones, and those whose interpreter went away or became another version."""

from __future__ import annotations

import os
import sys
import venv

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _venvs, runtimes
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

VERSION = "%d.%d" % sys.version_info[:2]


@pytest.fixture
def made(tmp_path):
    """A real environment in a customer's directory, with one package in it."""
    path = tmp_path / "home" / "carol" / "app" / "venv"
    venv.create(str(path), symlinks=True, with_pip=False)
    (path / "lib" / ("python" + VERSION) / "site-packages" / "flask-3.0.dist-info").mkdir()
    (path / "lib" / ("python" + VERSION) / "site-packages" / "pip-23.0.dist-info").mkdir()
    return path


def capture(tmp_path):
    return runtimes.capture(System({"trees": [str(tmp_path / "home")]}))


def judged(before, after):
    return [(f.id, f.severity, f.subject) for f in runtimes.compare(before, after) if "venv" in f.id]


def lead(made, target):
    """Let the environment's interpreter be another one."""
    for name in ("python", "python3", "python" + VERSION):
        path = made / "bin" / name
        if os.path.lexists(str(path)):
            path.unlink()
    (made / "bin" / "python3").symlink_to(target)
    (made / "bin" / "python").symlink_to("python3")


def test_a_sound_environment(made, tmp_path):
    data = capture(tmp_path)
    item = data["items"]["venv %s" % made]
    assert item["works"] == "yes" and item["packages"] == 1 and item["used_by"] == [] and item["version"] == VERSION
    assert data["summary"]["Python environments"] == 1
    assert judged(data, capture(tmp_path)) == [] and capture(tmp_path) == data


def test_an_interpreter_that_went_away(made, tmp_path):
    before = capture(tmp_path)
    lead(made, "/usr/bin/python3.0-gone")
    after = capture(tmp_path)
    assert judged(before, after) == [("runtimes.venv.broken", "warning", "venv %s" % made)]
    assert "python3.0-gone is not there" in after["items"]["venv %s" % made]["works"]
    assert judged(after, after) == []
    assert judged(before=after, after=before) == []


def test_an_interpreter_of_another_version(made, tmp_path):
    """What an upgrade does: /usr/bin/python3 is 3.13, the packages lie in lib/python3.11."""
    before = capture(tmp_path)
    newer = tmp_path / "usr" / "python9.9"
    newer.parent.mkdir()
    newer.write_text("")
    (newer.parent / "python3").symlink_to("python9.9")
    lead(made, newer.parent / "python3")
    after = capture(tmp_path)
    assert after["items"]["venv %s" % made]["works"] == "its interpreter is Python 9.9 by now, and its packages are for %s" % VERSION
    assert judged(before, after) == [("runtimes.venv.broken", "warning", "venv %s" % made)]


def test_one_that_a_service_uses_is_a_blocker_and_explains_the_service():
    def host(works):
        return {"items": {"venv /srv/[a]/venv": {"works": works, "version": "3.11", "packages": 4, "used_by": ["/etc/systemd/system/app.service"]}}}

    found = runtimes.compare(host("yes"), host("it has no interpreter"))
    assert [(f.id, f.severity) for f in found] == [("runtimes.venv.broken", "blocker")]
    assert {"section": "services", "subject": "app.service"} in found[0].covers
    assert {"section": "runtimes", "match": "interpreter /srv/[[]a]/venv/*"} in found[0].covers


def test_a_copied_interpreter_stands_or_falls_with_its_home(made, tmp_path):
    for name in ("python", "python3", "python" + VERSION):
        if os.path.lexists(str(made / "bin" / name)):
            (made / "bin" / name).unlink()
    (made / "bin" / "python3").write_bytes(b"\x7fELF")
    assert capture(tmp_path)["items"]["venv %s" % made]["works"] == "yes"
    (made / "pyvenv.cfg").write_text("home = /opt/gone/bin\nversion = 3.8.1\n")
    item = capture(tmp_path)["items"]["venv %s" % made]
    assert "/opt/gone/bin" in item["works"] and item["version"] == "3.8"


def test_customers_cannot_lead_the_look_elsewhere(tmp_path):
    """A link, a pipe and a directory in place of files: nothing is followed, nothing hangs."""
    home = tmp_path / "home" / "eve"
    (home / "real").mkdir(parents=True)
    (home / "link").symlink_to("/usr")
    os.mkfifo(str(home / "real" / "pyvenv.cfg"))
    (home / "dir" / "pyvenv.cfg").mkdir(parents=True)
    (home / "none").mkdir()
    (home / "none" / "pyvenv.cfg").write_text("nothing here\n")
    (home / "bare" / "lib").mkdir(parents=True)
    (home / "bare" / "pyvenv.cfg").write_text("home = /usr/bin\n")
    (home / "bare" / "bin").symlink_to("/usr/bin")
    assert _venvs.find(System(), [str(tmp_path / "home")]) == {
        os.fsencode(str(home / "bare")): {"version": "", "packages": 0, "works": "it has no interpreter"}
    }
    assert _venvs.find(FakeSystem(), [str(tmp_path / "nowhere")]) == {}


def test_names_that_are_no_text(tmp_path):
    path = os.fsencode(str(tmp_path)) + b"/home/\xff\n/venv"
    os.makedirs(path)
    with open(path + b"/pyvenv.cfg", "w", encoding="utf-8") as handle:
        handle.write("home = /usr/bin\n")
    assert [name for name in capture(tmp_path)["items"] if name.startswith("venv")] == ["venv %s/home/\\xff\\x0a/venv" % tmp_path]
