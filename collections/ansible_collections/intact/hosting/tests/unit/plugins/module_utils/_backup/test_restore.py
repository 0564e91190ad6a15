# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Restore: the order of its steps, what it would overwrite, who is who, and that it goes on where it was cut."""

from __future__ import annotations

import os
import shutil

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _identity, _opened, _restore, _restore_plan
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import readback_fixture as fake
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import restore_fixture as fixture

PASSWD = "root:x:0:0::/root:/bin/sh\nann:x:1001:1001::/home/ann:/bin/sh\nbob:x:1002:1002::/home/bob:/bin/sh\nmysql:x:110:110::/:/bin/false\n"
GROUP = "root:x:0:\nann:x:1001:\nbob:x:1002:\nmysql:x:110:\nwww-data:x:33:ann,bob\n"


@pytest.fixture
def site(tmp_path):
    top = tmp_path / "host" / "www"
    for name in ("shop/index.html", "shop/data/a", "blog/index.html"):
        path = top / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("backup")
        os.utime(path, (1, 1))
    return top


@pytest.fixture
def backup(tmp_path, site):
    source = fake.Memory("near")
    source.back_up(tmp_path / "store", "files", site)
    return _opened.Backup(source, "web1")


def plan(backup, site, **more):
    return _restore_plan.plan("r", backup, System(), [{"name": "shop", "paths": [str(site / "shop")], "databases": []}], **more)


def test_sites_come_first_and_nothing_twice(backup, site):
    made, findings = plan(backup, site)
    assert [(s["name"], [p["paths"] for p in s["parts"]]) for s in made["steps"]] == [
        ("accounts", []),
        ("site shop", [[str(site / "shop")]]),
        ("files", [[str(site / "blog")]]),
    ]
    assert findings == [] and not _restore_plan.brings(dict(made, identity=_identity.plan({}, {})))


def test_single_things_and_things_that_are_not_there(backup, site):
    made, _findings = plan(backup, site, select={"paths": [str(site / "shop" / "index.html")]})
    assert [s["name"] for s in made["steps"]] == [str(site / "shop" / "index.html")]
    for select, word in (
        ({"paths": ["/nowhere"]}, "nothing at"),
        ({"mailboxes": ["ann"]}, "no mailbox"),
        ({"databases": ["mariadb:x"]}, "no database"),
        ({"sites": ["x"]}, "list of sites"),
        ({"classes": ["mail"]}, "no class"),
        ({"typo": ["x"]}, "no such selection"),
    ):
        with pytest.raises(IntactError, match=word):
            plan(backup, site, select=select)


def test_newer_data_is_never_overwritten_without_a_word(backup, site):
    new = site / "shop" / "index.html"
    new.write_text("today's work")
    (site / "blog" / "index.html").write_text("old work")
    os.utime(site / "blog" / "index.html", (1, 1))
    os.utime(new, (4 * 10**9, 4 * 10**9))
    made, findings = plan(backup, site)
    assert [(f.id, f.severity, f.subject) for f in findings] == [("restore.newer", "blocker", "site shop")]
    assert made["steps"][2]["overwritten"] == [str(site / "blog" / "index.html")]
    made, findings = plan(backup, site, accept=[str(site / "shop")])
    assert findings == [] and made["steps"][1]["overwritten"] == [str(new)]
    made, findings = plan(backup, site, keep=[str(new)])
    assert findings == [] and made["steps"][1]["kept"] == [str(new)]


def test_what_was_lost_comes_back_and_a_second_run_does_nothing(tmp_path, backup, site):
    made, _findings = plan(backup, site)
    shutil.rmtree(site)
    done = fixture.restore(tmp_path, made, backup)
    assert done.run() and done.findings == [] and (site / "shop" / "data" / "a").read_text() == "backup"
    assert not fixture.restore(tmp_path, made, backup).run()
    assert not [name for name in os.listdir(tmp_path) if name.startswith(_restore.STAGING)]


def test_a_cut_restore_goes_on_where_it_was(tmp_path, backup, site, monkeypatch):
    made, _findings = plan(backup, site)
    shutil.rmtree(site)
    whole, calls = backup.source.restore, []

    def cut(snapshot, target, paths=()):
        calls.append(list(paths))
        if len(calls) == 2:
            raise IntactError("the line is dead")
        whole(snapshot, target, paths)

    monkeypatch.setattr(backup.source, "restore", cut)
    with pytest.raises(IntactError, match="dead"):
        fixture.restore(tmp_path, made, backup).run()
    assert (site / "shop" / "index.html").exists() and not (site / "blog").exists()
    done = fixture.restore(tmp_path, made, backup)
    assert done.run() and done.findings == [] and (site / "blog" / "index.html").exists()
    assert calls == [[str(site / "shop")], [str(site / "blog")], [str(site / "blog")]]


def test_who_is_who_goes_by_name():
    live = {"passwd": "root:x:0:0::/:/\nbob:x:1001:1001::/:/\n", "group": "root:x:0:\nbob:x:1001:\nwww-data:x:33:bob\n"}
    made = _identity.plan({"passwd": PASSWD, "group": GROUP, "shadow": "ann:hash:1:0:99999:7:::\n"}, live, {0, 1001, 1002, 110, 4711}, {1001, 4711})
    assert made["users"] == {1001: 1000, 1002: 1001} and made["groups"] == {1001: 1000, 1002: 1001}
    assert made["rows"]["passwd"] == ["mysql:x:110:110::/:/bin/false", "ann:x:1000:1000::/home/ann:/bin/sh"]
    assert made["rows"]["shadow"][1] == "ann:hash:1:0:99999:7:::" and made["members"] == {"www-data": ["ann"]}


def test_files_of_nobody_do_not_become_somebodys():
    live = {"passwd": "eve:x:4711:4711::/:/\n", "group": ""}
    made = _identity.plan({"passwd": PASSWD, "group": GROUP}, live, {4711}, ())
    assert made["users"] == {4711: 70000} and "4711" in made["notes"][-1]


def test_files_of_nobody_do_not_become_those_of_another_nobody():
    live = {"passwd": "eve:x:200000:200000::/:/\n", "group": ""}
    assert _identity.plan({}, live, {70000, 200000}, ())["users"] == {200000: 70001}


def test_a_container_gets_numbers_that_it_can_hold():
    live = {"passwd": "eve:x:4711:4711::/:/\n", "group": "", "uid_map": "         0     100000      65536\n"}
    assert _identity.plan({}, live, {4711, 60706}, ())["users"] == {4711: 60707}
    with pytest.raises(IntactError, match="no number is left for the files of the nameless user 4711"):
        _identity.plan({}, dict(live, uid_map="0 100000 5000\n"), {4711}, ())


def test_accounts_are_written_once(tmp_path):
    for name, text in (("passwd", "root:x:0:0::/:/\n"), ("group", "root:x:0:\nwww-data:x:33:\n"), ("shadow", "root:*:::::::\n"), ("gshadow", "")):
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o640)
    made = _identity.plan({"passwd": PASSWD, "group": GROUP}, {k: (tmp_path / k).read_text() for k in _identity.FILES}, {1001}, ())
    assert _identity.changes(made)
    assert len(_identity.apply(made, str(tmp_path), str(tmp_path / "lock"))) == 4
    assert (tmp_path / "group").read_text().splitlines()[1] == "www-data:x:33:ann,bob" and "ann:x:1001:1001" in (tmp_path / "passwd").read_text()
    assert (tmp_path / "passwd").stat().st_mode & 0o777 == 0o640
    assert _identity.apply(made, str(tmp_path), str(tmp_path / "lock")) == []
