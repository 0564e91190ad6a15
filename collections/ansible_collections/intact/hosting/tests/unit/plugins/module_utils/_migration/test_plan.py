# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The plan of a migration, from an old root as Red Hat laid it out in 2008: virtual hosts, certificates, zones and the rest, proposed and applied by nobody.

Apache itself, named-checkzone and openssl have the last word where they are there.
"""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import (
    _class_certificates,
    _class_table,
    _class_zones,
    _context,
    _files_trees,
    _plan_rest,
    _plan_vhosts,
    _plan_web,
    _plan_zones,
    plan,
)
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._migration.plan_lab import FILES, LIVE, SAME_ZONE, VHOSTS, ZONE, Live, lay, openssl


@pytest.fixture(name="pair", scope="module")
def fixture_pair(tmp_path_factory):
    """(certificate, key, another key) made by openssl."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    at = tmp_path_factory.mktemp("pair")
    subject = ["-subj", "/CN=secure.example", "-addext", "subjectAltName=DNS:secure.example", "-days", "90"]
    openssl("req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", str(at / "key"), "-out", str(at / "crt"), *subject)
    openssl("genrsa", "-out", str(at / "other"), "2048")
    return at


@pytest.fixture(name="context")
def fixture_context(tmp_path, pair):
    old, live = tmp_path / "old", tmp_path / "live"
    lay(old, FILES)
    lay(live, LIVE)
    lay(old, {"etc/pki/tls/certs/secure.crt": (pair / "crt").read_text(), "etc/pki/tls/private/secure.key": (pair / "key").read_text()})
    return _context.Context(str(old), str(tmp_path / "web1"), {"token": "S/1"}, Live(os.fsencode(str(live))))


def lines(made, kind):
    return {line["subject"]: line for line in made["plan"] if line["kind"] == kind}


def proposed(context, line):
    return Path(context.path("plan.d", line["proposed"])).read_text()


def test_the_plan_names_every_kind_and_check_mode_writes_nothing(context):
    foretold = plan.run(context, check=True)
    assert not os.path.exists(context.directory)
    made = plan.run(context)
    assert made == foretold
    assert {k: v for k, v in made["counts"].items() if k != "files"} == {
        "package": 1, "php": 2, "vhost": 2, "certificate": 1, "zone": 3, "sudoers": 1, "firewall": 1, "mta": 1
    }  # fmt: skip
    text = Path(context.path("plan.txt")).read_text()
    assert "shop.example:80" in text and "vsftpd ran on the old system" in text
    files = [os.path.join(top, name) for top, _folders, names in os.walk(context.path("plan.d")) for name in names]
    assert len(files) == made["counts"]["files"] and all(os.stat(path).st_mode & 0o777 == 0o600 for path in files)
    assert all(f.severity == "warning" and f.remedy for f in made["findings"])


def test_a_second_plan_leaves_nothing_of_the_first(context):
    plan.run(context)
    os.unlink(context.root + "/etc/named.conf")
    plan.run(context)
    assert not os.path.exists(context.path("plan.d", "etc/bind"))


def test_a_virtual_host_is_written_in_words_of_today(context):
    made = lines(plan.run(context), "vhost")
    text = proposed(context, made["shop.example:80"])
    assert "Require all granted" in text and "php_admin_value" not in text.replace("# old: php_admin_value", "")
    assert 'SetHandler "proxy:unix:/run/php/php8.4-fpm.sock|fcgi://localhost"' in text and "ErrorLog /var/log/apache2/shop_error.log" in text
    secure = proposed(context, made["secure.example:443"])
    assert "<VirtualHost *:443>" in secure and "SSLCertificateFile /etc/ssl/intact/" in secure
    assert any("php_admin_value open_basedir" in said for said in made["shop.example:80"]["lacks"])


def test_an_access_rule_that_has_no_sure_translation_lets_nobody_in_silently(context):
    secure = lines(plan.run(context), "vhost")["secure.example:443"]
    text = proposed(context, secure)
    assert "Require all granted" not in text and "# old: Allow from 192.0.2.0/24" in text
    assert any(said.startswith("Allow from 192.0.2.0/24") for said in secure["lacks"])


@pytest.mark.skipif(not shutil.which("apache2"), reason="apache2 is not installed (apache2-bin)")
def test_apache_itself_takes_what_is_proposed(context, tmp_path):
    """With the control that it refuses the old file."""
    made = lines(plan.run(context), "vhost")
    conf = tmp_path / "apache.conf"
    modules = "".join(
        "LoadModule %s_module /usr/lib/apache2/modules/mod_%s.so\n" % (name, name)
        for name in ("mpm_event", "authz_core", "authz_host", "ssl", "proxy", "proxy_fcgi", "alias", "dir")
    )
    head = "ServerName x\n%sDefaultRuntimeDir %s\nPidFile %s/pid\nErrorLog %s/error.log\nListen 18080\n" % (modules, tmp_path, tmp_path, tmp_path)

    def check(body):
        conf.write_text(head + body)
        return subprocess.run(["apache2", "-t", "-f", str(conf)], capture_output=True, text=True, check=False)

    new = (
        "".join(proposed(context, line) for line in made.values())
        .replace("/var/log/apache2", str(tmp_path))
        .replace("/etc/ssl/intact", context.path("plan.d/etc/ssl/intact"))
    )
    said = check(new)
    assert said.returncode == 0, said.stderr
    assert check(VHOSTS).returncode != 0


def test_paths_move_with_the_trees(context):
    context.settings["trees"] = [{"from": "/var/www", "to": "/srv/www"}, {"from": "/var/www/vhosts/shop", "to": "/srv/shop"}]
    text = proposed(context, lines(plan.run(context), "vhost")["shop.example:80"])
    assert (
        "DocumentRoot /srv/shop/htdocs" in text
        and "<Directory /srv/shop/htdocs>" in text
        and "/var/www" not in text.replace("# old: php_admin_value", "").split("\n", 1)[1].replace("open_basedir /var/www/vhosts/shop", "")
    )


def test_nginx_gets_a_block_of_its_own(context):
    context.system.programs = ("nginx",)
    made = lines(plan.run(context), "vhost")
    text = proposed(context, made["shop.example:80"])
    assert "server_name shop.example www.shop.example;" in text and "fastcgi_pass unix:/run/php/php8.4-fpm.sock;" in text and text.count("{") == text.count("}")
    assert any("rewrites" in said for said in made["shop.example:80"]["lacks"])


@pytest.mark.parametrize(
    ("handler", "speaks"),
    [
        ('<FilesMatch ".+\\.ph(?:ar|p|tml)$">\n    SetHandler application/x-httpd-php\n</FilesMatch>\n', True),
        ("AddType application/x-httpd-php .php\n", True),
        ('<FilesMatch ".+\\.phps$">\n    SetHandler application/x-httpd-php-source\n</FilesMatch>\n', False),
        ("# AddType application/x-httpd-php .php\n", False),
        ("<VirtualHost *:81>\nServerName other\nAddType application/x-httpd-php .php\n</VirtualHost>\n", False),
    ],
)
def test_php_that_the_server_speaks_for_all_is_proposed_for_each_site(tmp_path, handler, speaks):
    lay(
        tmp_path,
        {
            "etc/apache2/apache2.conf": "IncludeOptional mods-enabled/*.conf\nIncludeOptional sites-enabled/*.conf\n",
            "etc/apache2/mods-enabled/php7.4.conf": handler,
            "etc/apache2/sites-enabled/sail.conf": "<VirtualHost *:80>\nServerName shop.sail.test\nDocumentRoot /var/www/sail\n</VirtualHost>\n",
        },
    )
    (host,) = [found for found in _plan_vhosts.vhosts(Rooted(str(tmp_path))) if found["names"] == ["shop.sail.test"]]
    text, _said = _plan_web.nginx(host, [], {"certificate": "", "key": ""}, "/run/php/php8.4-fpm.sock")
    assert host["php"] is speaks and ("index index.php" in text) is speaks and ("fastcgi_pass unix:/run/php/php8.4-fpm.sock;" in text) is speaks


def test_a_customers_name_can_not_break_out_of_the_proposed_file():
    host = {"root": '/a"; include /etc/shadow; "', "names": ["x; include /etc/shadow", "ok.example"], "listen": [("0.0.0.0", 80, False)], "php": False}
    text, _said = _plan_web.nginx(host, [], {"certificate": "", "key": ""}, "")
    assert "server_name ok.example;" in text and '    root "/a; include /etc/shadow; ";' in text
    assert plan.name_for("../../etc/x").count("/") == 0 and plan.name_for("a/b") != plan.name_for("a_b")


def test_a_certificate_is_proposed_with_its_key(context, pair):
    (line,) = lines(plan.run(context), "certificate").values()
    assert line["lacks"] == ["it is not on this host", "it is self-signed"]
    assert proposed(context, line) == (pair / "crt").read_text()
    assert Path(context.path("plan.d", line["proposed"][:-4] + ".key")).read_text() == (pair / "key").read_text()


def test_what_is_wrong_with_a_certificate_is_told(context, pair):
    key = Path(context.root, "etc/pki/tls/private/secure.key")
    shutil.copy(pair / "other", key)
    conf = Path(context.root, "etc/httpd/conf.d/vhosts.conf")
    conf.write_text(VHOSTS.replace("ServerName secure.example:443", "ServerName else.example"))
    (line,) = lines(plan.run(context), "certificate").values()
    assert "its key belongs to another certificate" in line["lacks"] and "it is not for else.example" in line["lacks"]
    key.unlink()
    assert "its key was not found" in next(iter(lines(plan.run(context), "certificate").values()))["lacks"]
    Path(context.root, "etc/pki/tls/certs/secure.crt").unlink()
    assert next(iter(lines(plan.run(context), "certificate").values()))["lacks"] == ["there is no such file"]


def test_records_are_the_same_however_they_are_written():
    serial, first = _plan_zones.records(ZONE, "shop.example")
    again, second = _plan_zones.records(SAME_ZONE, "shop.example")
    assert (serial, again) == (2008112301, 2008112302) and first == second and len(first) == 9
    assert _plan_zones.records(SAME_ZONE.replace("192.0.2.7", "192.0.2.8", 1), "shop.example")[1] != first


@pytest.mark.skipif(not shutil.which("named-checkzone"), reason="named-checkzone is not installed (bind9-utils)")
def test_bind_reads_as_many_records_as_we_do(tmp_path):
    (tmp_path / "zone").write_text(ZONE)
    said = subprocess.run(
        ["named-checkzone", "-i", "none", "-k", "ignore", "-D", "-o", str(tmp_path / "out"), "shop.example", str(tmp_path / "zone")],
        capture_output=True,
        check=False,
    )
    assert said.returncode == 0, said.stdout
    assert _plan_zones.records((tmp_path / "out").read_text(), "shop.example")[1] == _plan_zones.records(ZONE, "shop.example")[1]


@pytest.mark.parametrize("text", ["", "@ IN SOA a b ( 1 2 3 4 5\n", "  A 192.0.2.1\n", "@ SOA a b x 2 3 4 5\n", "@ 300 IN\n"])
def test_a_zone_that_can_not_be_read_is_no_empty_one(text):
    assert "unreadable" in _plan_zones.told({"type": "master", "file": "/x", "text": text}, "a.example")


def differences(context, klass):
    return sorted(_class_table.differences(klass.old(context), klass.new(context)))


def ran(context):
    context.save(dict(_context.fresh("plan"), **dict(plan.run(context), status="done")))


def test_zones_are_reconciled_with_the_plan_and_with_what_is_live(context):
    assert [d[:2] for d in differences(context, _class_zones)] == [("missing", name) for name in ("lost.example", "other.example", "shop.example")]
    ran(context)
    assert [d[:2] for d in differences(context, _class_zones)] == [("missing", "lost.example")]
    live = Path(os.fsdecode(context.system.root))
    lay(
        live,
        {"etc/bind/named.conf": 'options { directory "/etc/bind"; };\nzone "shop.example" { type primary; file "db.shop"; };\n', "etc/bind/db.shop": SAME_ZONE},
    )
    (grown, _lost) = sorted(differences(context, _class_zones), key=lambda d: d[0])
    assert grown == ("changed", "shop.example", "serial", 2008112301, 2008112302) and _class_zones.RULES[0]["when"](grown[3], grown[4])
    assert not _class_zones.RULES[0]["when"](grown[4], grown[3])
    lay(live, {"etc/bind/db.shop": SAME_ZONE.replace("www.shop", "ftp.shop")})
    assert {d[2] for d in differences(context, _class_zones) if d[1] == "shop.example"} == {"digest", "serial"}


def test_certificates_are_reconciled_with_the_plan_and_with_what_is_live(context, pair):
    name = "/etc/pki/tls/certs/secure.crt"
    assert [d[:2] for d in differences(context, _class_certificates)] == [("missing", name)]
    ran(context)
    assert differences(context, _class_certificates) == []
    (line,) = lines(context.document("plan"), "certificate").values()
    shutil.copy(pair / "other", context.path("plan.d", line["proposed"][:-4] + ".key"))
    assert differences(context, _class_certificates) == [("changed", name, "key", "match", "other")]


def test_trees_are_homes_docroots_and_none_of_the_systems_own(context):
    assert _files_trees.trees(context) == [{"from": path, "to": path} for path in ("/data/site", "/home", "/var/www")]
    for path in ("/", "/usr", "/usr/share/x", "/etc", "/etc/site", "/var", "/var/lib", "/var/lib/mysql/x", "/root", "/opt"):
        assert not _files_trees.brought(path), path
    assert _files_trees.brought("/opt/site") and _files_trees.brought("/data")


@pytest.mark.parametrize("tree", [{}, {"from": "home"}, {"from": "/"}, {"from": "/a", "to": "/"}, {"from": "/a", "too": "/b"}])
def test_a_tree_that_is_none_is_refused(context, tree):
    context.settings["trees"] = [tree]
    with pytest.raises(IntactError, match="site_migration_trees"):
        _files_trees.trees(context)


def test_sudoers_stay_switched_off(context):
    (line,) = lines(plan.run(context), "sudoers").values()
    text = proposed(context, line)
    assert "# carol ALL=(ALL) NOPASSWD: /usr/bin/du" in text and all(row.startswith("#") for row in text.splitlines())


def test_ports_and_mail_settings_are_told(context):
    made = plan.run(context)
    assert lines(made, "firewall")["iptables"]["lacks"] == ["lets in 143/tcp, 25/tcp, 80/tcp"]
    assert lines(made, "mta")["postfix"]["lacks"] == ["mydestination = a.example, b.example (here: not set)", "myhostname = old.example (here: new.example)"]
    assert [entry[0] for entry in _plan_rest.extensions(context.old, context.system)] == ["mysql"]


def test_debians_layout_and_a_loop_of_includes_are_read(tmp_path):
    lay(
        tmp_path,
        {
            "etc/apache2/apache2.conf": 'ServerRoot "${SERVER_ROOT}"\nInclude /etc/apache2/sites-enabled/\nInclude apache2.conf\n',
            "etc/apache2/sites-available/a": "<VirtualHost *>\nServerName a.example\nDocumentRoot /srv/a\n</VirtualHost>\n",
            "etc/nginx/nginx.conf": "http { include sites-enabled/*; }\n",
            "etc/nginx/sites-enabled/b": "server { listen 443 ssl; server_name b.example; root /srv/b; }\n",
        },
    )
    (tmp_path / "etc/apache2/sites-enabled").mkdir()
    (tmp_path / "etc/apache2/sites-enabled/000").symlink_to("/etc/apache2/sites-available/a")
    found = _plan_vhosts.vhosts(Rooted(os.fsencode(str(tmp_path))))
    assert [(host["server"], host["names"], host["root"]) for host in found] == [("apache2", ["a.example"], "/srv/a"), ("nginx", ["b.example"], "/srv/b")]
