# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Debian 12 brings by itself is allowed; the same files emptied, lost or led elsewhere are findings."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _allowed
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
