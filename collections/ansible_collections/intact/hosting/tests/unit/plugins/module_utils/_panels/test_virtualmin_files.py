# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What Virtualmin's files say: key=value, features, users with their addresses, aliases, zones, crontabs."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _virtualmin_domains, virtualmin
from ansible_collections.intact.hosting.plugins.module_utils._panels import _virtualmin_files as files
from ansible_collections.intact.hosting.plugins.module_utils._panels._inventory import secret
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem


@pytest.mark.parametrize(
    ("text", "expected"),
    [("a=1\nb=x=y\n#c=3\n=4\nnothing\n", {"a": "1", "b": "x=y"}), ("", {}), ("pass=a b\r\n", {"pass": "a b"})],
)
def test_settings(text, expected):
    assert files.settings(text) == expected


def test_features_are_what_is_switched_on():
    held = {"web": "1", "mail": "0", "dns": "1", "virtualmin-nginx": "1", "virtualmin-nginx-ssl": "", "quota": "1", "nocreationmail": "1"}
    assert files.features(held) == ["dns", "virtualmin-nginx", "web"]


TOP = {"id": "1", "dom": "a.test", "user": "ann", "gid": "7", "uid": "7", "home": "/home/ann", "pass": "clear", "mysql": "1", "db_mysql": "a b", "quota": "5"}


def test_a_top_level_server_makes_a_customer():
    out = files.domain_objects(TOP, {"1": TOP})
    assert out["customer"] == {"ann": {"domain": "a.test", "email": "", "password": secret("clear")}}
    assert out["limit"] == {"a.test": {"quota": "5", "customer": "ann"}}
    assert sorted(out["database"]) == ["a", "b"] and out["database_user"] == {"ann (mysql)": {"customer": "ann", "password": secret("clear")}}


def test_sub_servers_aliases_and_subdomains():
    known = {"1": TOP}
    sub = files.domain_objects({"dom": "s.a.test", "parent": "1", "user": "ann"}, known)
    assert sub == {"domain": {"s.a.test": {"customer": "ann", "email": "", "features": [], "parent": "a.test"}}}
    assert files.domain_objects({"dom": "b.test", "parent": "1", "alias": "1", "user": "ann"}, known) == {
        "domain_alias": {"b.test": {"customer": "ann", "domain": "a.test"}}
    }
    assert files.domain_objects({"dom": "x.a.test", "parent": "1", "subdom": "1", "user": "ann"}, known)["subdomain"]["x.a.test"]["domain"] == "a.test"


def test_databases_of_a_feature_that_is_off_are_none():
    assert "database" not in files.domain_objects(dict(TOP, mysql="0"), {})


PEOPLE = files.people(
    "ann:x:7:7::/home/ann:/bin/sh\ninfo.a:x:8:7::/home/ann/homes/info:/x\nweb:x:7:7::/home/ann/public_html:/x\n"
    "sub:x:9:7::/home/ann/domains/s.a.test/homes/sub:/x\n"
    "bob:x:1:1::/home/bob:/x\nshort:x\n",
    "ann:$6$h:1\ninfo.a:$6$i:1\n",
)
SUB = {"id": "2", "dom": "s.a.test", "parent": "1", "user": "ann", "uid": "7", "gid": "7", "home": "/home/ann/domains/s.a.test"}


def test_whose_accounts_they_are():
    known = {"1": TOP, "2": SUB}
    assert [(entry["user"], entry["web"]) for entry in files.users_of(TOP, PEOPLE, known)] == [("ann", False), ("info.a", False), ("web", True)]
    assert [entry["user"] for entry in files.users_of(SUB, PEOPLE, known)] == ["sub"]
    assert PEOPLE[1]["password"] == "$6$i" and PEOPLE[2]["password"] == ""


@pytest.mark.parametrize("user", ["info.a", "info-a", "a-info", "info@a.test", "info"])
def test_an_account_gets_the_address_that_is_part_of_its_name(user):
    target = user.replace("@", "-")
    table = {"all@a.test": [target], "info@a.test": [target], "x@b.test": [target], "sales@a.test": ["info@a.test"], "@a.test": ["y@b.test"]}
    users, aliases = files.split_virtuals(TOP, [{"user": user}], table)
    assert users == [{"user": user, "email": "info@a.test"}] and sorted(aliases) == ["@a.test", "all@a.test", "sales@a.test"]


def test_postfix_table_and_a_backups_list_say_the_same():
    table = files.virtuals("# c\na.test  a.test\nSales@a.test  info@a.test,boss@b.test\nrobot@a.test robot-a.test\n")
    assert table == {"sales@a.test": ["info@a.test", "boss@b.test"], "robot@a.test": ["robot-a.test"]}
    told = files.mail_aliases("sales@a.test: boss@b.test,info@a.test\nrobot@a.test: |/bin/robot -p secret,/dev/null\nnobody@a.test:\n")
    one, other = files.mail_objects(TOP, [], table), files.mail_objects(TOP, [], told)
    assert one["mail_alias"]["sales@a.test"]["to"] == ["info@a.test", "boss@b.test"] and sorted(other["mail_alias"]["sales@a.test"]["to"]) == [
        "boss@b.test",
        "info@a.test",
    ]
    # a program may be given a password, and is written in another way in each place
    assert one["mail_alias"]["robot@a.test"]["to"] is None and other["mail_alias"]["robot@a.test"]["to"] is None


def test_a_backups_users():
    users = files.mail_users("ann:$6$h:7:7:Ann:/home/ann:/bin/sh:ann@a.test:-:-\nann\nweb:x:w:7::/home/ann/public_html:/x:\n\nbroken:line\n\n")
    assert [(entry["user"], entry["web"], entry["email"]) for entry in users] == [("ann", False, "ann@a.test"), ("web", True, "")]
    out = files.mail_objects(TOP, users, {})
    assert list(out["mailbox"]) == ["ann@a.test"] and list(out["ftp_user"]) == ["web"] and out["mailbox"]["ann@a.test"]["password"] == secret("$6$h")


def test_zones_and_crontabs():
    zone = "$ttl 1\n@ IN SOA ns. root. (\n 1\n 2 3 4 5 )\n; A line\n@ IN NS ns.\nwww IN A 192.0.2.1\n"
    assert files.records(zone) == 2 and files.records("") == 0
    told = files.jobs("ann", "MAILTO=x\n#0 0 * * * no\n5 3 * * * curl -u u:p x\n@daily run\n", "ann")
    assert sorted(name.split(" #")[0] for name in told) == ["ann: 5 3 * * *", "ann: @daily"] and "u:p" not in repr(told)


def test_detection():
    assert virtualmin.detect(FakeSystem()) is None
    held = {"/etc/webmin/virtual-server/config": "", "/usr/libexec/webmin/virtual-server/module.info": "version=7.9.0\n", "/etc/webmin/version": "2.1\n"}
    assert virtualmin.detect(FakeSystem(files=held)) == {"version": "7.9.0", "root": "/etc/webmin/virtual-server", "webmin": "2.1"}


def test_postfix_may_have_its_table_elsewhere():
    view = FakeSystem(
        files={
            "/etc/postfix/main.cf": "virtual_alias_maps = hash:/etc/mail/v, mysql:/x\n",
            "/etc/mail/v": "a@b.test c@d.test\n",
            "/etc/postfix/virtual": "x@y.test z",
        }
    )
    assert _virtualmin_domains.virtual_table(_virtualmin_domains.on(view)) == {"a@b.test": ["c@d.test"]}
