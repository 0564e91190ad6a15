# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Carrying configuration over to new paths."""

from __future__ import annotations

import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _carry, _host


def test_a_directory_that_a_cut_left_half_carried_is_carried_anew(places):
    source, target = places.path / "php8.2-fpm.service.d", places.path / "php8.4-fpm.service.d"
    source.mkdir()
    (source / "limits.conf").write_text("[Service]\n")
    half = places.path / "php8.4-fpm.service.d.intact-new"
    half.mkdir()
    host = _host.Host(places.directory, str(places.path), places.memory())
    assert _carry.steps([{"from": str(source), "to": str(target)}], set(), {})
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(_carry, "recorded_sums", lambda host: {})
        assert _carry.carry(host, [{"from": str(source), "to": str(target)}], set()) == [str(target)]
    assert sorted(p.name for p in target.iterdir()) == ["limits.conf"] and not half.exists()


def test_ini_differences_are_only_what_was_changed():
    reference = '[PHP]\nmemory_limit = 128M\n;date.timezone =\npost_max_size = 8M ; note\n[Session]\nsession.save_path = "/x"\n'
    text = '[PHP]\nmemory_limit = 333M\ndate.timezone = Europe/Berlin\npost_max_size = 8M\n[Session]\nsession.save_path = "/x"\nsession.name = "A;B" ; mine\n'
    made = _carry.ini_differences(text, reference, "/etc/php.ini")
    assert (
        made == '; carried over from /etc/php.ini by the upgrade\n[PHP]\nmemory_limit = 333M\ndate.timezone = Europe/Berlin\n[Session]\nsession.name = "A;B"\n'
    )
    assert _carry.ini_differences(reference, reference, "x") == ""


def test_carried_are_edited_files_only_and_never_over_one_that_is_there(tmp_path):
    old, new, web = tmp_path / "8.2", tmp_path / "8.4", tmp_path / "nginx"
    for directory in (old, new, web):
        directory.mkdir()
    (old / "www.conf").write_text("unedited")
    (old / "alice.conf").write_text("pool")
    (old / "there.conf").write_text("mine")
    (new / "there.conf").write_text("already")
    (old / "link.conf").symlink_to("www.conf")
    sums = {str(old / "www.conf"): _carry._questions.md5(b"unedited")}
    entry = {
        "from": str(old) + "/*",
        "to": str(new) + "/",
        "package": "php8.2-fpm",
        "edited_only": True,
        "unless_mentioned": {"words": ["/run/php/php8.2-fpm.sock"], "in": [str(web)]},
        "reason": "r",
    }
    assert [s[1:3] for s in _carry.steps([entry], {"php8.2-fpm"}, sums)] == [(str(old / "alice.conf"), str(new / "alice.conf"))]
    assert _carry.steps([entry], set(), sums) == []
    (web / "site").write_text("fastcgi_pass unix:/run/php/php8.2-fpm.sock;")
    assert [os.path.basename(s[1]) for s in _carry.steps([entry], {"php8.2-fpm"}, sums)] == ["alice.conf", "www.conf"]
