# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Apache's modules with a version in their name: what was on has its successor on."""

from __future__ import annotations

import os
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _apache

RULES = [{"from": "php8.2", "to": "php8.4", "reason": "renamed"}]


@pytest.mark.parametrize(
    ("before", "now", "available", "expected"),
    [
        # the old package's script did nothing: its link stays
        (["php8.2", "ssl"], ["php8.2", "ssl"], {"php8.4"}, [("php8.2", "php8.4")]),
        # it did its work, and nobody switched the new one on
        (["php8.2"], [], {"php8.4"}, [("php8.2", "php8.4")]),
        # a cut after the first half
        (["php8.2"], ["php8.2", "php8.4"], {"php8.2", "php8.4"}, [("php8.2", "php8.4")]),
        (["php8.2"], ["php8.4"], {"php8.4"}, []),
        # off before: nobody asked for PHP in Apache
        (["ssl"], ["ssl"], {"php8.4"}, []),
        # no successor: what there is goes on
        (["php8.2"], ["php8.2"], {"php8.2"}, []),
    ],
)
def test_what_is_switched(before, now, available, expected):
    assert _apache.todo(RULES, before, now, available) == expected


@pytest.fixture
def apache(tmp_path):
    """An Apache directory whose php8.2 is on and whose a2dismod does nothing, as when the package's files are gone; its host."""
    root, asked = tmp_path / "apache2", []
    for folder in ("mods-enabled", "mods-available"):
        (root / folder).mkdir(parents=True)
    (root / "mods-available" / "php8.4.load").write_text("LoadModule php_module /usr/lib/apache2/modules/libphp8.4.so\n")
    for ending in ("load", "conf"):
        (root / "mods-enabled" / ("php8.2." + ending)).symlink_to("../mods-available/php8.2." + ending)

    def run(argv, check=True, **_more):
        asked.append(" ".join(argv))
        if argv[0] == "a2enmod" and not host.conflicts:
            (root / "mods-enabled" / (argv[-1] + ".load")).symlink_to("../mods-available/%s.load" % argv[-1])
        return SimpleNamespace(rc=host.refuses if argv[0] == "apache2ctl" else 0, error="AH00526: Syntax error on line 3\n" if host.refuses else "")

    host = SimpleNamespace(asked=asked, run=run, refuses=0, conflicts=False, state="failed", notes=[])
    host.memory = SimpleNamespace(journal=lambda event, text: host.notes.append(text))
    host.unit_state = lambda unit: host.state
    host.systemctl = lambda *words, **more: asked.append(" ".join(words))
    host.keep = lambda path, group: asked.append("keep " + os.path.basename(path))
    host.root = str(root)
    return host


def test_apache_has_the_new_one_and_starts_again(apache):
    assert _apache.switch(apache, RULES, ["php8.2"], apache.root) == ["php8.4"]
    assert _apache.enabled(apache.root) == ["php8.4"] and os.listdir(os.path.join(apache.root, "mods-enabled")) == ["php8.4.load"]
    assert apache.asked[:2] == ["a2enmod -q php8.4", "a2dismod -f -q php8.2"] and apache.asked[-1] == "restart apache2.service"
    del apache.asked[:]
    assert _apache.switch(apache, RULES, ["php8.2"], apache.root) == [] and apache.asked == []


def test_one_that_was_stopped_stays_so_and_a_refused_configuration_stops_nothing_that_runs(apache):
    apache.state = "inactive"
    _apache.switch(apache, RULES, ["php8.2"], apache.root)
    assert not [words for words in apache.asked if "apache2.service" in words or "configtest" in words]


def test_a_refused_configuration_is_told(apache):
    apache.refuses = 1
    assert _apache.switch(apache, RULES, ["php8.2"], apache.root) == ["php8.4"]
    assert not [words for words in apache.asked if "apache2.service" in words]
    assert apache.notes[-1] == "Apache refuses its configuration: AH00526: Syntax error on line 3"


def test_a_module_that_cannot_be_switched_on_leaves_the_old_one_and_goes_on(apache):
    """Past the point of no return: an error here would come again with every start."""
    apache.conflicts = True
    assert _apache.switch(apache, RULES, ["php8.2"], apache.root) == []
    assert _apache.enabled(apache.root) == ["php8.2"] and apache.asked == ["a2enmod -q php8.4"]
    assert "could not be switched on" in apache.notes[0]
