# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Debian 12 brings by itself is allowed; the same files emptied, lost or led elsewhere are findings."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _allowed, _compare, runtimes, services
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._upgrade.release_rules import directory, file, left, link, rules

RULES = rules("debian-11-12")


@pytest.mark.parametrize(
    "path, before, after, allowed",
    [
        ("/etc/logrotate.d/nginx", file(1000, "conffile-unmodified"), file(1100, "conffile-unmodified"), True),
        ("/etc/logrotate.d/nginx", file(1000, "conffile-unmodified"), None, True),
        ("/etc/logrotate.d/nginx", file(1000, "conffile-edited"), file(1100, "conffile-unmodified"), False),
        ("/etc/logrotate.d/nginx", file(1000, "conffile-edited"), None, False),
        ("/var/lib/dokuwiki/lib/plugins/acl/admin.php", file(900, "package"), file(800, "package"), True),
        ("/var/lib/dokuwiki/lib/plugins/acl/admin.php", file(900, "package"), file(0, "package"), False),
        ("/etc/pam.d/common-auth", file(1000), file(1100), True),
        ("/etc/pam.d/common-auth", file(1000), file(500), False),
        ("/etc/shells", file(128), file(118), True),
        ("/etc/shells", file(128), file(0), False),
        ("/etc/alternatives/php", link("/usr/bin/php7.4"), link("/usr/bin/php8.2"), True),
        ("/etc/alternatives/php", link("/usr/local/bin/php"), link("/usr/bin/php8.2"), False),
        ("/etc/alternatives/php", link("/usr/bin/php7.4"), None, False),
        ("/etc/crontab.dpkg-dist", None, file(42, "leftover"), True),
        ("/etc/crontab.dpkg-dist", None, file(42, "leftover", "4755"), False),
        ("/etc/php/8.2/fpm/pool.d/club.conf", None, file(300), True),
        ("/etc/php/8.2/fpm/pool.d/club.conf", None, file(0), False),
        ("/etc/php/8.2/cli/conf.d/10-pdo.ini", None, link("/etc/php/8.2/mods-available/pdo.ini"), True),
        ("/etc/php/8.2/cli/conf.d/10-pdo.ini", None, link("/home/club/pdo.ini"), False),
        ("/etc/apt/sources.list", file(170), file(168), True),
        ("/etc/apt/sources.list", file(170), file(0), False),
        ("/etc/apache2/mods-enabled/php7.4.load", link("../mods-available/php7.4.load"), None, True),
        ("/etc/apache2/mods-enabled/php7.4.conf", file(80), None, False),
        ("/etc/apache2/mods-enabled/php8.2.load", None, link("../mods-available/php8.2.load"), True),
        ("/etc/apache2/mods-enabled/rewrite.load", link("../mods-available/rewrite.load"), None, False),
        ("/etc/postgresql/13/main/start.conf", file(300), file(302), True),
        ("/etc/postgresql/13/main/postgresql.conf", file(300, digest="a" * 64), file(300, digest="b" * 64), True),
        ("/etc/postgresql/13/main/pg_hba.conf", file(300, digest="a" * 64), file(300, digest="b" * 64), False),
        ("/etc/postgresql/15/main/pg_hba.conf", None, file(300, mode="0640"), True),
        ("/etc/postgresql/15/main/pg_hba.conf", None, file(0, mode="0640"), False),
        ("/usr/local/lib/python3.9", directory(), None, True),
        ("/usr/local/lib/python3.9/dist-packages/club.py", file(30), None, False),
        ("/var/lib/dokuwiki/lib/plugins/authmysql", directory(), None, True),
        ("/var/lib/dokuwiki/lib/plugins/club", directory(), None, False),
    ],
)
def test_a_file_may_become_what_the_package_makes_of_it_and_nothing_else(path, before, after, allowed):
    before, after = ({path: item} if item else {} for item in (before, after))
    assert bool(before or after) and (left(RULES, before, after) == []) is allowed


def test_phps_links_may_go_when_nothing_of_the_operators_was_among_them():
    top = "/etc/php/7.4/fpm/conf.d"
    brought = {
        top: directory(),
        top + "/10-pdo.ini": link("/etc/php/7.4/mods-available/pdo.ini"),
        top + "/20-gd.ini": link("/etc/php/7.4/mods-available/gd.ini"),
    }
    assert left(RULES, brought, {}) == []
    assert left(RULES, dict(brought, **{top + "/99-club.ini": file(30)}), {}) != []


@pytest.mark.parametrize("root, allowed", [("/usr/share/wordpress", True), ("/home/club/www", False)])
def test_other_markup_is_expected_of_debians_applications_only(root, allowed):
    paths = ["/etc/nginx/sites-available/club.test", root, "socket:[::]:443"]
    found = Finding(id="sites.markup.changed", severity="warning", subject="club.test", title="t", details={"change": "changed", "paths": paths})
    assert any(_allowed.allows(rule, found) for rule in RULES) is allowed


PHP = {"extensions": ["gd", "json", "mysqli"], "packages": {}, "complaints": [], "pools": ["club"]}


def test_php_is_its_successor_and_an_extension_that_is_gone_is_told():
    before = {"PHP 7.4 fpm": PHP, "PHP 7.4 cli": dict(PHP, pools=[])}
    after = {"PHP 8.2 fpm": PHP, "PHP 8.2 cli": dict(PHP, pools=[])}
    assert told("runtimes", runtimes, before, after) == []
    less = {name: dict(item, extensions=["gd", "json"]) for name, item in after.items()}
    assert told("runtimes", runtimes, before, less) == [("runtimes.extension.missing", "PHP 8.2: mysqli")]
    assert told("runtimes", runtimes, before, {})


def unit(active="active", enabled="enabled"):
    return {"enabled": enabled, "active": active, "watched": True, "local": False, "links": [], "result": "", "package": ""}


@pytest.mark.parametrize(
    "old, new",
    [
        ("php7.4-fpm.service", "php8.2-fpm.service"),
        ("postgresql@13-main.service", "postgresql@15-main.service"),
        ("ntp.service", "ntpsec.service"),
        ("spamassassin.service", "spamd.service"),
    ],
)
def test_a_unit_that_changed_its_name_is_held_against_its_successor(old, new):
    assert told("services", services, {old: unit()}, {new: unit()}) == []
    assert told("services", services, {old: unit()}, {new: unit(active="inactive")}) == [("services.active.changed", new)]
    assert [name for name, _subject in told("services", services, {old: unit()}, {})] == ["services.missing"]


def test_a_cluster_that_is_kept_keeps_its_unit():
    name = "postgresql@13-main.service"
    assert told("services", services, {name: unit()}, {name: unit()}) == []


def told(section, probe, before, after):
    """(id, subject) of what a section tells when the path's rules took and renamed theirs."""

    def document(items):
        return {"sections": {section: {"status": "ok", "data": {"items": items, "summary": {}}}}}

    return [(f.id, f.subject) for f in _compare.compare(document(before), document(after), {section: probe}, RULES)["findings"]]
