# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The walk over real trees: what is left out, by default, by pattern, and where another section reads it; and which place a path counts for."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _trees_data, files
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import System
from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._baseline.tree_fixture import names, walk


def test_excluded(tmp_path):
    for name in ("keep.php", "x.log", "sess_abc", "wp-content/cache/page", "wp-content/uploads/photo", "a/b/Maildir/new/1"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("x")
    assert names(walk(tmp_path, rules=_trees_data.EXCLUDED), tmp_path) == [
        ".",
        "a",
        "a/b",
        "keep.php",
        "wp-content",
        "wp-content/uploads",
        "wp-content/uploads/photo",
    ]


@pytest.mark.parametrize(
    ("path", "kind", "target", "excluded"),
    [
        ("/etc/ssl/certs/GlobalSign.pem", "link", "/usr/share/ca-certificates/mozilla/GlobalSign.crt", True),
        ("/etc/ssl/certs/shop.pem", "file", "", False),
        ("/etc/ssl/certs/shop.pem", "link", "/etc/ssl/own/shop.pem", False),
        ("/etc/ssl/certs/5ad8a5d6.0", "link", "GlobalSign.pem", True),
        ("/etc/systemd/system/multi-user.target.wants", "dir", "", True),
        ("/etc/systemd/system/own.service", "file", "", False),
        ("/home/carol/Maildir", "dir", "", True),
        ("/home/carol/public_html/composer.lock", "file", "", False),
        ("/home/carol/shop.sqlite-wal", "file", "", True),
        ("/home/carol/shop.sqlite", "file", "", False),
        ("/etc/rc3.d", "dir", "", True),
        ("/srv/a/b/access.log.14.gz", "file", "", True),
        ("/srv/www/error_log", "file", "", True),
        ("/srv/www/my_log", "file", "", False),
        ("/etc/bind/zones/db.example.jnl", "file", "", True),
        ("/etc/bind/zones/db.example", "file", "", False),
    ],
)
def test_what_is_left_out_by_default(path, kind, target, excluded):
    matcher = _trees_data.matcher(_trees_data.EXCLUDED)
    assert matcher(path.encode(), path.rpartition("/")[2].encode(), kind, target.encode()) is excluded


@pytest.mark.parametrize(
    ("pattern", "path", "excluded"),
    [
        ("/home/*/x/**", "/home/a/x/b/c", True),
        ("/srv/**.jnl", "/srv/a/b.jnl", True),
        ("/srv/**/cache", "/srv/a/b/cache", True),
        ("/srv/**/cache", "/srv/a/b/cached", False),
        ("/srv/*", "/srv/a", True),
        ("/srv/*", "/srv/a/b", False),
        ("/srv/a[b/c]d", "/srv/abd", True),
        ("*.tmp", "/srv/a.tmp", True),
        ("/srv/?x", "/srv/ax", True),
    ],
)
def test_a_pattern_is_held_against_the_whole_path(pattern, path, excluded):
    matcher = _trees_data.matcher([{"patterns": [pattern, "never"]}])
    assert matcher(path.encode(), path.rpartition("/")[2].encode(), "file", b"") is excluded


def test_every_exclusion_has_a_reason():
    assert all(len(rule["reason"]) > 10 and rule["patterns"] for rule in _trees_data.EXCLUDED)


@pytest.mark.parametrize("options", [{"trees": ["home"]}, {"exclude": [{"patterns": ["x"]}]}, {"exclude": [{"reason": "because"}]}])
def test_options_that_nobody_could_mean(options):
    with pytest.raises(IntactError):
        files.capture(System(options))


@pytest.mark.parametrize(
    ("path", "place"),
    [
        ("/home/carol/letter.txt", "home"),
        ("/home/carol/public_html/index.php", "sites"),
        ("/srv/shop/index.html", "sites"),
        ("/etc/nginx/html/x", "etc"),
        ("/opt/x", "other"),
        ("/usr/local/www/x", "other"),
    ],
)
def test_place(path, place):
    assert _trees_data.place(path) == place


@pytest.mark.parametrize("installed", [True, False])
def test_mail_stores_are_left_out_only_where_the_mail_section_reads_them(tmp_path, monkeypatch, installed):
    (tmp_path / "Maildir" / "new").mkdir(parents=True)
    (tmp_path / "Maildir" / "new" / "1").write_text("x")
    monkeypatch.setattr(System, "which", lambda self, program: "/usr/sbin/" + program if installed and program == "postconf" else None)
    items = files.capture(System({"trees": [str(tmp_path)], "privileged": []}))["items"]
    assert (escape(str(tmp_path / "Maildir/new/1")) in items) is not installed
