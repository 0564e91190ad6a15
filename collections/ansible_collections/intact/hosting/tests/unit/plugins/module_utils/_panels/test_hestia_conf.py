# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What HestiaCP's files say: pairs, objects, secrets, what a customer excludes, and the two shapes in which an export has them."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _hestia_conf, _hestia_files, hestiacp
from ansible_collections.intact.hosting.plugins.module_utils._panels._hestia_conf import Customer
from ansible_collections.intact.hosting.plugins.module_utils._panels._inventory import secret
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("DOMAIN='a.test' IP='192.0.2.1'", {"DOMAIN": "a.test", "IP": "192.0.2.1"}),
        ("CMD='echo it's fine' DAY='*'", {"CMD": "echo it's fine", "DAY": "*"}),
        ("A=''\nB='x y'\n", {"A": "", "B": "x y"}),
        ("A='1'\nA='2'", {"A": "2"}),
        ("no pairs here", {}),
        ("X='unclosed", {}),
    ],
)
def test_pairs(text, expected):
    assert _hestia_conf.pairs(text) == expected


def test_each_line_is_an_object_and_empty_lines_are_none():
    assert _hestia_conf.lines("DOMAIN='a'\n\nDOMAIN='b' X='1'\n") == [{"DOMAIN": "a"}, {"DOMAIN": "b", "X": "1"}]


def customer(**files):
    return Customer("ann", user="NAME='Ann' PACKAGE='big'\nMD5='$6$x$y'\nWEB_DOMAINS='3'\nU_DISK='17'\nDATE='2026-01-01'\nRKEY='recover'\n", **files)


def test_a_customer_and_the_limits():
    held = _hestia_conf.objects(customer())
    assert held["customer"] == {"ann": {"name": "Ann", "package": "big", "md5": secret("$6$x$y"), "rkey": secret("recover")}}
    assert held["limit"] == {"ann": {"web_domains": "3", "customer": "ann"}}


def test_a_site_with_aliases_and_ftp_accounts():
    line = (
        "DOMAIN='a.test' ALIAS='www.a.test,shop.a.test' TPL='default' SSL='yes' BACKEND='PHP-8_2' FTP_USER='up:down' FTP_MD5='h1:h2' FTP_PATH='/:/x' U_DISK='9'"
    )
    held = _hestia_conf.objects(customer(web=line + " STATS_CRYPT='s' LETSENCRYPT='yes'\n"))
    assert held["domain"]["a.test"] == {
        "web_tpl": "default",
        "web_ssl": "yes",
        "web_stats_crypt": secret("s"),
        "web_letsencrypt": "yes",
        "web_customer": "ann",
        "customer": "ann",
    }
    assert sorted(held["domain_alias"]) == ["shop.a.test", "www.a.test"] and held["domain_alias"]["www.a.test"]["domain"] == "a.test"
    assert held["ftp_user"]["down"] == {"customer": "ann", "domain": "a.test", "password": secret("h2"), "path": "/x"}
    assert held["php_handler"] == {"a.test": {"customer": "ann", "backend": "PHP-8_2"}}


def test_mail_with_its_forwards_aliases_and_key():
    accounts = "ACCOUNT='info' ALIAS='sales, office' FWD='x@b.test,y@b.test' MD5='{MD5}hash' QUOTA='500' U_DISK='3'\n"
    held = _hestia_conf.objects(customer(mail="DOMAIN='a.test' CATCHALL='info@a.test' ACCOUNTS='1'\n", accounts={"a.test": accounts}, dkim={"a.test": b"key"}))
    assert held["domain"]["a.test"] == {"mail_catchall": "info@a.test", "mail_customer": "ann", "customer": "ann", "mail_dkim_key": secret(b"key")}
    assert held["mailbox"] == {"info@a.test": {"quota": "500", "customer": "ann", "password": secret("{MD5}hash")}}
    assert held["forward"]["info@a.test"]["to"] == ["x@b.test", "y@b.test"]
    assert sorted(held["mail_alias"]) == ["office@a.test", "sales@a.test"]


def test_a_job_tells_when_and_not_what():
    held = _hestia_conf.objects(customer(cron="JOB='7' MIN='5' HOUR='3' DAY='*' MONTH='*' WDAY='1' CMD='curl -u u:pass' SUSPENDED='no'\n"))
    assert held["cron_job"] == {"ann/7": {"customer": "ann", "when": "5 3 * * 1", "command": secret("curl -u u:pass"), "suspended": "no"}}


def test_two_customers_may_share_a_domain():
    ann = _hestia_conf.objects(Customer("ann", web="DOMAIN='a.test' TPL='t'\n"))
    bob = _hestia_conf.objects(Customer("bob", mail="DOMAIN='a.test' CATCHALL=''\n"))
    assert _hestia_conf.merged([ann, bob])["domain"]["a.test"]["web_customer"] == "ann"
    assert _hestia_conf.merged([ann, bob])["domain"]["a.test"]["mail_customer"] == "bob"


def test_names_that_no_terminal_should_see_are_escaped():
    held = _hestia_conf.objects(Customer("ann", db="DB='a\x1b[31m' DBUSER='u\udcff' MD5='x'\n"))
    assert list(held["database"]) == ["a\\x1b[31m"] and list(held["database_user"]) == ["u\\xff"]


def test_excludes():
    excludes = "WEB='a.test,b.test:cache'\nDNS=''\nMAIL='*'\nUSER='x'\n"
    assert _hestia_conf.excluded(Customer("ann", excludes=excludes)) == {"WEB": ["a.test", "b.test:cache"], "MAIL": ["*"]}


def test_an_archive_and_the_settings_say_the_same():
    own = {"user.conf": b"NAME='Ann'\n", "web.conf": b"DOMAIN='a.test' TPL='x'\nDOMAIN='b.test' TPL='y'\n", "mail.conf": b"DOMAIN='a.test'\n"}
    own.update(
        {"mail/a.test.conf": b"ACCOUNT='info' MD5='x'\n", "mail/a.test.pem": b"key", "cron.conf": b"JOB='1'\n", "ssl/a.test.crt": b"c", "ssl/a.test.key": b"k"}
    )
    own.update({"dns.conf": b"DOMAIN='a.test'\n", "dns/a.test.conf": b"RECORD='@' TYPE='A' VALUE='192.0.2.1'\n", "db.conf": b"DB='ann_x' DBUSER='ann_x'\n"})
    settings = _hestia_files.settings({"usr/local/hestia/data/users/ann/" + path: data for path, data in own.items()}, "/usr/local/hestia")
    pieces = {
        "hestia/user.conf": own["user.conf"],
        "hestia/ssl/a.test.crt": b"c",
        "hestia/ssl/a.test.key": b"k",
        "web/a.test/hestia/web.conf": b"DOMAIN='a.test' TPL='x'",
        "web/b.test/hestia/web.conf": b"DOMAIN='b.test' TPL='y'\n",
        "dns/a.test/hestia/dns.conf": own["dns.conf"],
        "dns/a.test/hestia/a.test.conf": own["dns/a.test.conf"],
        "mail/a.test/hestia/mail.conf": own["mail.conf"],
        "mail/a.test/hestia/a.test.conf": own["mail/a.test.conf"],
        "mail/a.test/hestia/a.test.pem": b"key",
        "db/ann_x/hestia/db.conf": own["db.conf"],
        "cron/cron.conf": own["cron.conf"],
    }
    assert [_hestia_conf.objects(held) for held in settings] == [_hestia_conf.objects(_hestia_files.archive("ann", pieces))]
    vesta = {path.replace("hestia/", "vesta/"): data for path, data in pieces.items()}
    assert _hestia_conf.objects(_hestia_files.archive("ann", vesta)) == _hestia_conf.objects(settings[0])


def test_a_name_with_a_slash_opens_nothing_else():
    view = FakeSystem(
        files={"/p/data/users/ann/dns.conf": "DOMAIN='../../../etc/shadow'\n", "/p/data/users/ann/user.conf": "", "/etc/shadow.conf": "RECORD='secret'\n"}
    )
    assert _hestia_files.live(view, "/p")[0].records == {}


def test_detection():
    assert hestiacp.detect(FakeSystem()) is None
    files = {"/usr/local/vesta/conf/vesta.conf": "VERSION='0.9.8'\n"}
    assert hestiacp.detect(FakeSystem(files=files)) == {"version": "0.9.8", "root": "/usr/local/vesta", "flavour": "vesta", "branch": ""}
    assert hestiacp.environment(hestiacp.detect(FakeSystem(files=files))) == {"VESTA": "/usr/local/vesta"}
    files = {"/usr/local/hestia/conf/hestia.conf": "VERSION='1.10.0'\nRELEASE_BRANCH='release'\n", **files}
    assert hestiacp.detect(FakeSystem(files=files))["flavour"] == "hestia"
