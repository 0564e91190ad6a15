# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Runtimes: PHP's extensions (recorded, and the real PHP where there is one), interpreters, modules put in by hand."""

from __future__ import annotations

import shutil

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _document, packages, runtimes
from ansible_collections.intact.hosting.plugins.module_utils._baseline._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

MODULES = "[PHP Modules]\nCore\n%s\n[Zend Modules]\nZend OPcache\n\n"
UNABLE = "PHP Warning:  PHP Startup: Unable to load dynamic library '%s' (tried: /usr/lib/php/20220829/%s (no such file)) in Unknown on line 0\n"


def php(fpm="gd\nmysqli\n", cli="gd\nmysqli\n", version="8.2", said=""):
    return FakeSystem(
        commands={
            "/usr/sbin/php-fpm%s -m" % version: (0, MODULES % fpm, said),
            "/usr/bin/php%s -m" % version: (0, MODULES % cli),
            "dpkg-query": "",
        },
        files={
            "/usr/sbin/php-fpm" + version: "",
            "/usr/bin/php" + version: "",
            "/usr/bin/php": "",
            "/etc/php/%s/fpm/pool.d/www.conf" % version: "; x\n[global]\n[www]\nlisten = /run/php/www.sock\n",
            "/var/lib/dpkg/info/php%s-gd.list" % version: "/usr/lib/php/20220829/gd.so\n",
            "/var/lib/dpkg/info/php%s-mysql.list" % version: "/usr/lib/php/20220829/mysqli.so\n/usr/lib/php/20220829/pdo_mysql.so\n",
        },
        options={"trees": []},
    )


def told(before, after):
    return [(f.id, f.severity, f.subject) for f in runtimes.compare(runtimes.capture(before), runtimes.capture(after))]


def test_what_is_seen_of_php():
    data = runtimes.capture(php())
    assert set(data["items"]) == {"PHP 8.2 fpm", "PHP 8.2 cli"}
    assert data["items"]["PHP 8.2 fpm"] == {
        "extensions": ["core", "gd", "mysqli", "opcache"],
        "packages": {"gd": "php8.2-gd", "mysqli": "php8.2-mysql"},
        "complaints": [],
        "pools": ["www"],
    }
    assert told(php(), php()) == [] and told(php(), php(fpm="gd\nmysqli\nintl\n")) == []


def test_a_lost_extension_is_one_finding_whatever_way_php_is_run():
    found = runtimes.compare(runtimes.capture(php()), runtimes.capture(php("gd\n", "gd\n")))
    assert [(f.id, f.severity, f.subject, f.check) for f in found] == [("runtimes.extension.missing", "blocker", "PHP 8.2: mysqli", "QF21")]
    assert "fpm: " in found[0].evidence and "cli: " in found[0].evidence and "www" in found[0].evidence
    assert told(php(), php(cli="gd\n")) == [("runtimes.extension.missing", "blocker", "PHP 8.2: mysqli")]


def test_an_ini_file_that_asks_for_what_is_not_there():
    after = php("gd\n", said=UNABLE % ("mysqli", "mysqli"))
    found = runtimes.compare(runtimes.capture(php()), runtimes.capture(after))
    assert len(found) == 1 and "cannot load mysqli" in found[0].evidence
    after = php(said=UNABLE % ("imap.so", "imap.so") + "Deprecated: PHP Startup: x is deprecated in Unknown on line 0\n")
    assert told(php(), after) == [("runtimes.php.complains", "warning", "PHP 8.2 fpm")]
    assert told(after, after) == [] and told(after, php()) == []


def test_a_removed_package_explains_its_extensions_and_the_sites():
    def look(host, installed):
        part = {
            "items": {name: {"version": "1", "status": "installed", "held": False, "manual": True, "essential": False, "foreign": None} for name in installed}
        }
        taken = {"status": "ok", "unlooked": []}
        return {"sections": {"packages": dict(taken, data=part), "runtimes": dict(taken, data=runtimes.capture(host))}}

    before, after = look(php(), ["php8.2-gd", "php8.2-mysql"]), look(php("gd\n", "gd\n"), ["php8.2-gd"])
    found = _compare.compare(before, after, {"packages": packages, "runtimes": runtimes})["findings"]
    assert [(f.id, f.subject) for f in found] == [("packages.missing", "php8.2-mysql")]
    assert [c["id"] for c in found[0].consequences] == ["runtimes.extension.missing"]


def test_php_that_is_gone_and_its_successor_by_rule():
    gone = FakeSystem(options={"trees": []})
    assert told(php(), gone) == [("runtimes.php.missing", "blocker", "PHP 8.2 cli"), ("runtimes.php.missing", "blocker", "PHP 8.2 fpm")]
    documents = [
        {"sections": {"runtimes": {"status": "ok", "data": runtimes.capture(host), "unlooked": []}}}
        for host in (php(), php(version="8.4"), php("gd\n", version="8.4"))
    ]
    rules = [{"section": "runtimes", "rename": {"from": "PHP 8.2 *", "to": "PHP 8.4 *"}, "reason": "r"}]
    same, lost = (_compare.compare(documents[0], later, {"runtimes": runtimes}, rules)["findings"] for later in documents[1:])
    assert same == [] and [f.subject for f in lost] == ["PHP 8.4: mysqli"]


def test_a_php_that_does_not_answer_is_told_as_not_looked_at():
    host = php()
    host.commands[("/usr/sbin/php-fpm8.2", "-m")] = (255, "", "error while loading shared libraries: libx.so")
    data = runtimes.capture(host)
    assert "PHP 8.2 fpm" not in data["items"] and "libx.so" in host.unlooked[0]["why"]


def test_the_real_php(tmp_path):
    """php -m with a directory of settings of its own, in which an extension is asked for that is not there."""
    program = shutil.which("php8.2") or shutil.which("php8.4") or shutil.which("php8.3")
    if not program:
        pytest.skip("needs php-cli")

    class Given(System):
        scanned = ""

        def run(self, argv, env=None, **more):
            return super().run(argv, env=dict(env or {}, PHP_INI_SCAN_DIR=self.scanned) if self.scanned else env, **more)

    host = Given({"trees": []})
    before = runtimes.capture(host)
    name = next(name for name in before["items"] if name.endswith(" cli"))
    assert {"core", "standard", "json"} <= set(before["items"][name]["extensions"]) and before["items"][name]["complaints"] == []
    assert runtimes.capture(host) == before, "two looks are equal"
    (tmp_path / "20-x.ini").write_text("extension=nosuchthing\n")
    host.scanned = str(tmp_path)
    found = runtimes.compare(before, runtimes.capture(host))
    lost = {f.subject.rpartition(": ")[2] for f in found if f.id == "runtimes.extension.missing"}
    assert "tokenizer" in lost and any("cannot load nosuchthing" in f.evidence for f in found)


UNIT = "[Service]\nExecStartPre=-/bin/mkdir /x\nExecStart=%s --serve\n"


def services(there=True, unit="/usr/bin/ruby3.1", script=None):
    files = {
        "/etc/systemd/system/shop.service": UNIT % unit,
        "/etc/nginx/sites-enabled/a": "server {\n passenger_ruby /usr/bin/ruby3.1;\n root /usr/bin/x;\n}\n",
    }
    files.update({"/usr/bin/ruby3.1": ""} if there else {}, **({unit: script} if script else {}))
    return FakeSystem(files=files, options={"trees": []})


def test_an_interpreter_that_services_and_sites_name():
    data = runtimes.capture(services())
    assert data["items"] == {"interpreter /usr/bin/ruby3.1": {"there": True, "used_by": ["/etc/nginx/sites-enabled/a", "/etc/systemd/system/shop.service"]}}
    assert told(services(), services()) == []
    found = runtimes.compare(data, runtimes.capture(services(False)))
    assert [(f.id, f.severity, f.subject) for f in found] == [("runtimes.interpreter.missing", "blocker", "interpreter /usr/bin/ruby3.1")]
    assert {"section": "services", "subject": "shop.service"} in found[0].covers
    assert told(services(False), services(False)) == [], "what was so before is nobody's news"


def test_the_interpreter_that_a_services_script_needs():
    script = services(unit="/opt/shop/run", script="#!/usr/bin/ruby3.1 -w\n")
    assert runtimes.capture(script)["items"]["interpreter /usr/bin/ruby3.1"]["used_by"][1] == "/etc/systemd/system/shop.service"
    gone = services(False, unit="/opt/shop/run", script="#!/usr/bin/ruby3.1 -w\n")
    assert told(script, gone) == [("runtimes.interpreter.missing", "blocker", "interpreter /usr/bin/ruby3.1")]


def by_hand(python="3.11", ruby="3.1"):
    files = {"/usr/bin/python" + python: "", "/usr/bin/ruby" + ruby: "", "/usr/local/lib/python3.11/dist-packages/Flask_Login-0.6.dist-info/METADATA": ""}
    files["/var/lib/gems/3.1.0/gems/jekyll-sass-converter-2.2.0-x86/x"] = ""
    return FakeSystem(files=files, links={"/usr/bin/python3": "python" + python, "/usr/bin/ruby": "ruby" + ruby}, options={"trees": []})


def test_what_pip_and_gem_put_into_the_system_is_not_seen_by_the_next_version():
    data = runtimes.capture(by_hand())
    assert data["items"]["Python modules of /usr/local"] == {"version": "3.11", "names": ["flask-login"]}
    assert data["items"]["Ruby gems of /var/lib/gems"] == {"version": "3.1", "names": ["jekyll-sass-converter"]}
    assert told(by_hand(), by_hand()) == []
    assert told(by_hand(), by_hand("3.13", "3.3")) == [
        ("runtimes.modules.lost", "warning", "Python modules of /usr/local"),
        ("runtimes.modules.lost", "warning", "Ruby gems of /var/lib/gems"),
    ]


def test_the_section_is_captured_and_compared_like_any_other():
    document = _document.capture({"runtimes": runtimes}, system=lambda *_given: php())
    assert document["sections"]["runtimes"]["status"] == "ok" and document["sections"]["runtimes"]["data"]["summary"]["ways to run PHP"] == 2
