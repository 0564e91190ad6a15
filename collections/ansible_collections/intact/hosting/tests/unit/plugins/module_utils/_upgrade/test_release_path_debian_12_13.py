# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Debian 13 brings by itself is allowed; the same files emptied, lost or led elsewhere are findings."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _allowed, _compare, cron, runtimes
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._upgrade.release_rules import directory, file, left, link, rules

RULES = rules("debian-12-13")
PROFILE = "8fec28102e0c371e6f2ecb949b95c1ba802260766b18c2445882b082418428b9"
MANY = 30


def unallowed(before, after):
    """Ids of what is left when the rules took theirs."""
    return left(RULES, before, after)


@pytest.mark.parametrize(
    "path, before, after, allowed",
    [
        ("/etc/pam.d/common-auth", file(1000), file(1100), True),
        ("/etc/pam.d/common-auth", file(1000), file(0), False),
        ("/etc/pam.d/common-auth", file(1000), file(500), False),
        ("/etc/pam.d/common-auth", file(1000), None, False),
        ("/etc/profile", file(769), file(828, digest=PROFILE), True),
        ("/etc/profile", file(769), file(828), False),
        ("/etc/shells", file(128), file(118), True),
        ("/etc/shells", file(128), file(0), False),
        ("/etc/locale.gen", file(9000), file(9500), True),
        ("/etc/locale.gen", file(9000), file(0), False),
        ("/etc/postfix/main.cf", file(2000), file(2100), True),
        ("/etc/postfix/main.cf", file(2000), file(0), False),
        ("/etc/apt/sources.list.d/acme.sources", file(170), file(168), True),
        ("/etc/apt/sources.list.d/acme.sources", file(170), file(0), False),
        ("/var/lib/dokuwiki/lib/plugins/acl/admin.php", file(900, "package"), file(800, "package"), True),
        ("/var/lib/dokuwiki/lib/plugins/acl/admin.php", file(900, "package"), file(0, "package"), False),
        ("/etc/alternatives/php", link("/usr/bin/php8.2"), link("/usr/bin/php8.4"), True),
        ("/etc/alternatives/nc", link("/bin/nc.openbsd"), link("/usr/bin/nc.openbsd"), True),
        ("/etc/alternatives/php", link("/usr/local/bin/php"), link("/usr/bin/php8.4"), False),
        ("/etc/alternatives/java", link("/opt/jdk/bin/java"), link("/usr/bin/java"), False),
        ("/etc/alternatives/php", link("/usr/bin/php8.2"), link("/dev/null"), False),
        ("/etc/alternatives/php", link("/usr/bin/php8.2"), file(), False),
        ("/etc/alternatives/php", link("/usr/bin/php8.2"), None, False),
        ("/etc/alternatives/x.1.gz", link("/usr/share/man/man1/y.1.gz"), None, True),
        ("/etc/alternatives/lzma", None, link("/usr/bin/xz"), True),
        ("/etc/alternatives/lzma", None, link("/tmp/xz"), False),
        ("/etc/crontab.dpkg-dist", None, file(42, "leftover"), True),
        ("/etc/crontab.dpkg-dist", None, file(42, "leftover", "4755"), False),
        ("/usr/bin/su.dpkg-tmp", None, file(42, "leftover", "4755"), False),
        ("/etc/php/8.4/fpm/pool.d/club.conf", None, file(300), True),
        ("/etc/php/8.4/fpm/pool.d/club.conf", None, file(0), False),
        ("/etc/php/8.4/cli/conf.d/10-pdo.ini", None, link("/etc/php/8.4/mods-available/pdo.ini"), True),
        ("/etc/php/8.4/cli/conf.d/10-pdo.ini", None, link("/home/club/pdo.ini"), False),
        ("/etc/locale.conf", None, file(0), False),
        ("/etc/fonts/conf.d/70-no-bitmaps.conf", link("/usr/share/fontconfig/conf.avail/70-no-bitmaps.conf"), None, True),
        ("/etc/fonts/conf.d/70-no-bitmaps.conf", file(), None, False),
        ("/etc/postfix/makedefs.out", file(), None, False),
        ("/etc/apache2/mods-enabled/php8.2.load", link("../mods-available/php8.2.load"), None, True),
        ("/etc/apache2/mods-enabled/headers.load", link("../mods-available/headers.load"), None, False),
        ("/etc/apache2/mods-enabled/php8.4.load", None, link("../mods-available/php8.4.load"), True),
        ("/etc/apache2/mods-enabled/php8.4.load", None, link("/tmp/php8.4.load"), False),
        ("/etc/postgresql/15/main/start.conf", file(300), file(302), True),
        ("/etc/postgresql/15/main/postgresql.conf", file(30000), file(30000, digest="0" * 64), True),
        ("/etc/postgresql/15/main/postgresql.conf", file(30000), file(29000), False),
        ("/etc/postgresql/15/main/pg_hba.conf", file(5000), file(5000, digest="0" * 64), False),
        ("/etc/postgresql/17/main/pg_hba.conf", None, file(5000, mode="0640"), True),
        ("/etc/postgresql/17/main/pg_hba.conf", None, file(5000, mode="0666"), False),
    ],
)
def test_a_file_may_become_what_the_package_makes_of_it_and_nothing_else(path, before, after, allowed):
    before, after = ({path: item} if item else {} for item in (before, after))
    assert bool(before or after) and (unallowed(before, after) == []) is allowed


def test_one_emptied_file_among_many_new_versions_is_told():
    """Findings for many are judged file by file."""
    paths = ["/var/lib/dokuwiki/lib/plugins/acl/%02d.php" % number for number in range(MANY)]
    before = {path: file(900, "package") for path in paths}
    after = {path: file(950, "package") for path in paths}
    assert unallowed(before, after) == []
    assert unallowed(before, dict(after, **{paths[7]: file(0, "package")})) == ["files.content.changed"]


TREES = [
    ("/etc/iproute2", {"rt_tables": file(87, "conffile-unmodified"), "group": file(31, "conffile-unmodified")}, {"rt_tables": file(120, "conffile-edited")}),
    (
        "/etc/php/8.2/fpm/conf.d",
        {"10-pdo.ini": link("/etc/php/8.2/mods-available/pdo.ini"), "20-gd.ini": link("/etc/php/8.2/mods-available/gd.ini")},
        {"99-club.ini": file(30)},
    ),
    (
        "/var/lib/dokuwiki/lib/plugins/config/_test",
        {"a.test.php": file(30, "package"), "b.test.php": file(40, "package")},
        {"own.test.php": file(50)},
    ),
]


@pytest.mark.parametrize("top, brought, own", TREES, ids=[entry[0] for entry in TREES])
def test_a_tree_may_go_when_nothing_of_the_operators_was_in_it(top, brought, own):
    def tree(content):
        return dict({top: directory()}, **{"%s/%s" % (top, name): item for name, item in content.items()})

    assert unallowed(tree(brought), {}) == []
    assert unallowed(tree(dict(brought, **own)), {}) != []


def test_only_jobs_that_the_packages_bring_are_new_by_themselves():
    job = {"command": "command -v debian-sa1 > /dev/null && debian-sa1 1 1", "schedule": "5-55/10 * * * *", "file": "/etc/cron.d/sysstat"}
    job.update(user="root", kind="system", count=1, runs="yes", settings={})
    for origin, allowed in (("conffile-unmodified", True), ("conffile-edited", False), ("local", False)):
        subject = "root: %(schedule)s %(command)s" % job
        found = cron.compare({"items": {}}, {"items": {subject: dict(job, origin=origin)}})
        assert [any(_allowed.allows(rule, finding) for rule in RULES) for finding in found] == [allowed], origin


@pytest.mark.parametrize("root, allowed", [("/usr/share/wordpress", True), ("/home/club/www", False)])
def test_other_markup_is_expected_of_debians_applications_only(root, allowed):
    paths = ["/etc/nginx/sites-available/club.test", root, "socket:[::]:443"]
    found = Finding(id="sites.markup.changed", severity="warning", subject="club.test", title="t", details={"change": "changed", "paths": paths})
    assert any(_allowed.allows(rule, found) for rule in RULES) is allowed


@pytest.mark.parametrize("now, told", [(["core", "gd"], []), (["core"], ["PHP 8.4: gd"]), (None, ["PHP 8.4 fpm"])])
def test_php_may_become_its_successor_with_all_its_extensions(now, told):
    def php(version, extensions):
        item = {"extensions": extensions, "packages": {}, "complaints": [], "pools": ["www"]}
        data = {"items": {"PHP %s fpm" % version: item} if extensions else {}, "summary": {"ways to run PHP": 1}}
        return {"sections": {"runtimes": {"status": "ok", "unlooked": [], "data": data}}}

    result = _compare.compare(php("8.2", ["core", "gd"]), php("8.4", now), {"runtimes": runtimes}, RULES)
    assert [finding.subject for finding in result["findings"]] == told


@pytest.mark.parametrize("subject, allowed", [("postgresql(15/main)", True), ("postgresql(main/15)", False), ("postgresql:another", False)])
def test_only_the_kept_cluster_of_the_old_version_is_new_by_itself(subject, allowed):
    found = Finding(id="databases.new", severity="warning", subject=subject, title="t", details={"change": "new"})
    assert any(_allowed.allows(rule, found) for rule in RULES) is allowed


@pytest.mark.parametrize(
    "later, expected",
    [
        (["postgresql@17-main.service"], "postgresql@17-main.service"),
        (["postgresql@15-main.service"], "postgresql@15-main.service"),
        # the old one is kept beside the new one, and does not run
        (["postgresql@15-main.service", "postgresql@17-main.service"], "postgresql@17-main.service"),
    ],
)
def test_a_clusters_unit_is_the_upgraded_ones_only_when_it_was_upgraded(later, expected):
    items, _renamed = _allowed.rename({"postgresql@15-main.service": {}}, "services", RULES, later)
    assert list(items) == [expected]
