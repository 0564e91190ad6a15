# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Which step brings what: where things moved to, what is where in a backup, and the order."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _moves, _opened, _restore_steps
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._backup import restore_fixture as fixture

ELEVEN, TWELVE, THIRTEEN = ({"id": "debian", "version": number} for number in ("11", "12", "13"))
PHP12 = [{"from": "/etc/php/7.4/fpm/pool.d/*", "to": "/etc/php/8.2/fpm/pool.d/"}, {"from": "/etc/php7.service.d", "to": "/etc/php8.service.d"}]
PHP13 = [{"from": "/etc/php/8.2/fpm/pool.d/*", "to": "/etc/php/8.4/fpm/pool.d/"}, {"kind": "ini-differences", "from": "/etc/php/8.2/php.ini", "to": "/x"}]
PATHS = [{"source": TWELVE, "target": THIRTEEN, "carry": PHP13}, {"source": ELEVEN, "target": TWELVE, "carry": PHP12}]


def test_a_chain_of_releases_leads_over_two_hops():
    assert [path["target"] for path in _moves.chain(PATHS, ELEVEN, THIRTEEN)] == [TWELVE, THIRTEEN]
    assert _moves.release('NAME="Debian"\nVERSION_ID="12"\nID=debian\n') == TWELVE and _moves.release("ID=arch\n") == {}


@pytest.mark.parametrize(("old", "new"), [(TWELVE, TWELVE), (THIRTEEN, TWELVE), ({}, TWELVE), (ELEVEN, {}), (ELEVEN, {"id": "ubuntu", "version": "12"})])
def test_where_no_chain_leads_nothing_moves(old, new):
    assert _moves.chain(PATHS, old, new) == []


@pytest.mark.parametrize(
    ("path", "there"),
    [
        ("/etc/php/7.4/fpm/pool.d/www.conf", "/etc/php/8.4/fpm/pool.d/www.conf"),
        ("/etc/php/8.2/fpm/pool.d/dir/deeper", "/etc/php/8.4/fpm/pool.d/dir/deeper"),
        ("/etc/php/7.4/fpm/pool.d", "/etc/php/7.4/fpm/pool.d"),
        ("/etc/php7.service.d", "/etc/php8.service.d"),
        ("/etc/php7.service.d/override.conf", "/etc/php8.service.d/override.conf"),
        ("/etc/php7.service.d-old", "/etc/php7.service.d-old"),
        ("/etc/php/8.2/php.ini", "/etc/php/8.2/php.ini"),
    ],
)
def test_files_and_directories_come_to_their_place_on_the_new_release(path, there):
    assert _moves.here(path, _moves.entries(_moves.chain(PATHS, ELEVEN, THIRTEEN))) == there


def test_siblings_of_a_directory_are_not_in_it():
    backup = fixture.opened(files=fixture.names(["/a"], "/a/", "/a/b/", "/a/b/x", "/a/b-c", "/a/b.c/", "/a/b.c/y", "/a/b0", "/ab"))
    assert (
        backup.below("files", "/a/b") == ["/a/b", "/a/b/x"] and backup.below("files", "/a/b/x") == ["/a/b/x"] and backup.below("files", "/a/b/") == ["/a/b/x"]
    )
    assert backup.children("files", "/a") == ["/a/b", "/a/b-c", "/a/b.c", "/a/b0"] and backup.below("files", "/a/b.") == []
    assert backup.children("files", "/") == ["/a", "/ab"] and len(backup.below("files", "/")) == 8
    assert _opened.topmost(["/a/b.c", "/a/b/x", "/a/b-c", "/a/b", "/a/b/x"]) == ["/a/b", "/a/b-c", "/a/b.c"] and _opened.topmost(["/a", "/"]) == ["/"]


def test_a_pattern_stays_in_one_directory_and_a_name_with_brackets_is_a_name():
    backup = fixture.opened(files=fixture.names(["/a"], "/a/", "/a/x.conf", "/a/d/", "/a/d/y.conf", "/a/[old] x", "/a/o x"))
    assert backup.matching("files", "/a/*.conf") == ["/a/x.conf"] and backup.matching("files", "/a/*/*.conf") == ["/a/d/y.conf"]
    assert backup.matching("files", "/a/[old] x") == ["/a/[old] x"] and backup.matching("files", "/a/[o] x") == ["/a/o x"]
    assert backup.matching("files", "/a/./d/") == ["/a/d"] and backup.matching("files", "/b") == backup.matching("files", "/b/*") == []
    (step,) = _restore_steps.steps(backup, (), {"paths": ["/a/[old] x"]})
    assert step["parts"][0]["paths"] == ["/a/[old] x"]


def test_who_knows_most_of_a_path_holds_it():
    mail, files = fixture.names(["/h/a/Maildir"], "/h/a/Maildir/", "/h/a/Maildir/1"), fixture.names(["/h"], "/h/", "/h/a/", "/h/a/x", "/h/a/y")
    backup = fixture.opened(mail=mail, files=files)
    assert backup.holders("/h/a") == ["files", "mail"] and backup.holders("/h/a/Maildir") == ["mail"] and backup.holders("/h/b") == []


def whole():
    system = fixture.names(
        ["/etc", "/var/lib/intact", "/var/spool/cron"],
        *"/etc/ /etc/mysql/ /etc/mysql/my.cnf /etc/apache2/ /etc/apache2/a.conf /etc/cron.d/ /etc/cron.d/backup /etc/crontab".split(),
        *"/etc/systemd/ /etc/systemd/x.timer /etc/systemd/x.service /var/lib/intact/baseline.key /var/spool/cron/crontabs/ /var/spool/cron/crontabs/a".split(),
    )
    files = fixture.names(["/home"], "/home/", "/home/a/", "/home/a/x", "/home/b/", "/home/b/y", "/home/c/", "/home/c/z")
    mail = fixture.names(["/home/a/Maildir", "/var/mail/b"], "/home/a/Maildir/", "/home/a/Maildir/1", "/var/mail/b")
    return fixture.opened(system=system, files=files, mail=mail, streams=["mariadb accounts", "mariadb:a", "mariadb:b"])


SITES = [{"name": "b", "paths": ["/home/b"], "databases": ["mariadb:b"]}, {"name": "a", "paths": ["/home/a", "/etc/apache2/a.conf"], "databases": []}]


def brought(made, name):
    return {part["class"]: part["paths"] for step in made if step["name"] == name for part in step["parts"]}


def test_who_is_who_settings_sites_classes_rights_and_jobs_last():
    made = _restore_steps.steps(whole(), SITES, None, [*_restore_steps.SYSTEM_PATHS, "/etc/mysql", "/etc/cron.d", "/etc/systemd/*"])
    assert [step["name"] for step in made] == ["accounts", "settings", "site b", "site a", "files", "databases", "mail", "rights", "jobs"]
    assert brought(made, "settings") == {"system": ["/etc/mysql", "/etc/systemd/x.service", "/var/lib/intact/baseline.key"]}
    assert brought(made, "jobs") == {"system": ["/etc/cron.d", "/etc/systemd/x.timer", "/var/spool/cron/crontabs"]}
    assert brought(made, "site a") == {"files": ["/home/a"], "system": ["/etc/apache2/a.conf"]} and brought(made, "files") == {"files": ["/home/c"]}
    streams = {step["name"]: [stream["name"] for stream in step["streams"]] for step in made if step["streams"]}
    assert streams == {"accounts": ["mariadb accounts"], "site b": ["mariadb:b"], "databases": ["mariadb:a"], "rights": ["mariadb accounts"]}


def test_jobs_come_last_also_out_of_a_directory_that_is_named_whole():
    made = _restore_steps.steps(whole(), [], {"classes": ["system"]}, ["/etc"])
    assert [step["name"] for step in made] == ["settings", "jobs"]
    assert brought(made, "jobs")["system"] == ["/etc/cron.d", "/etc/crontab", "/etc/systemd/x.timer"]
    assert brought(made, "settings")["system"] == ["/etc/apache2", "/etc/mysql", "/etc/systemd/x.service"]


def test_a_mailbox_in_a_sites_home_comes_with_the_mail():
    made = _restore_steps.steps(whole(), SITES)
    assert brought(made, "mail") == {"mail": ["/home/a/Maildir", "/var/mail/b"]}


def test_a_path_that_is_asked_for_comes_with_all_that_any_class_has_in_it():
    made = _restore_steps.steps(whole(), [], {"paths": ["/home/a"]})
    assert brought(made, "/home/a") == {"files": ["/home/a"], "mail": ["/home/a/Maildir"]}


def test_accounts_of_a_server_that_are_asked_for_are_kept_aside_like_a_database():
    (step,) = _restore_steps.steps(whole(), [], {"databases": ["mariadb accounts"]})
    assert (step["kind"], step["streams"]) == ("database", [{"class": "databases", "name": "mariadb accounts"}])


def test_of_two_that_would_come_to_one_place_the_one_that_was_there_comes():
    old, new = "/etc/php/7.4/fpm/pool.d/www.conf", "/etc/php/8.2/fpm/pool.d/www.conf"
    backup = fixture.opened(system=fixture.names(["/etc"], old, new, "/etc/php/7.4/fpm/pool.d/shop.conf"))
    backup.moves = _moves.entries(PATHS[1:])
    (step,) = _restore_steps.steps(backup, [], {"classes": ["system"]}, ["/etc/php/*/fpm/pool.d/*"])
    assert step["parts"] == [
        {
            "class": "system",
            "paths": ["/etc/php/8.2/fpm/pool.d/shop.conf", new],
            "from": {"/etc/php/8.2/fpm/pool.d/shop.conf": "/etc/php/7.4/fpm/pool.d/shop.conf"},
        }
    ]
    assert list(backup.part(step["parts"][0])["items"]) == ["/etc/php/8.2/fpm/pool.d/shop.conf", new]


def test_what_packages_brought_is_left_to_the_new_releases():
    conf = {"/etc/x/own": {"origin": "package", "package": "x"}, "/etc/x/edited": {"origin": "conffile-edited", "package": "x"}}
    more = {"/etc/x/as-it-was": {"origin": "conffile-unmodified"}, "/etc/x/gone": {"origin": "package", "package": "y"}}
    backup = fixture.opened(system=fixture.names(["/etc"], "/etc/x/", *conf, *more, **conf, **more))
    part = {"class": "system", "paths": ["/etc/x"], "from": {}}
    assert backup.part(part)["left"] == []
    backup.packages = {"x"}
    assert sorted(backup.part(part)["items"]) == ["/etc/x", "/etc/x/edited", "/etc/x/gone"] and backup.part(part)["left"] == ["/etc/x/as-it-was", "/etc/x/own"]
    assert list(backup.part(dict(part, paths=["/etc/x/own"]))["items"]) == ["/etc/x/own"]


def test_hard_links_follow_a_directory_that_moved():
    linked = {"/old/a": {"hardlink": "/old/a"}, "/old/b": {"hardlink": "/old/a"}}
    backup = fixture.opened(system=fixture.names(["/old"], "/old/", "/old/a", "/old/b", **linked))
    items = backup.part({"class": "system", "paths": ["/new"], "from": {"/new": "/old"}})["items"]
    assert {path: item.get("hardlink") for path, item in items.items()} == {"/new": None, "/new/a": "/new/a", "/new/b": "/new/a"}


def test_a_class_that_is_not_there_and_a_run_that_is_not_there_are_named():
    with pytest.raises(IntactError, match="no class panel"):
        _restore_steps.steps(whole(), [], {"classes": ["panel"]})
    with pytest.raises(IntactError, match="by the name of r9"):
        _opened.Backup(whole().source, "web1", "r9")


def test_a_wide_path_leaves_the_hosts_own_accounts_and_identity_alone():
    backup = fixture.opened(system=fixture.names(["/etc"], "/etc/passwd", "/etc/machine-id", "/etc/fstab", "/etc/aliases"))
    made = _restore_steps.steps(backup, [], {"classes": ["system"]}, ["/etc"])
    assert [part["paths"] for step in made for part in step["parts"]] == [["/etc/aliases"]]
    with pytest.raises(IntactError, match="/etc/passwd in system_paths"):
        _restore_steps.steps(backup, [], {}, ["/etc/passwd"])
