# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The target's daemons and today's configuration: what /etc will be, which daemons are asked, how their words are told."""

from __future__ import annotations

import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._checks import Check
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _etc, _registry, _targetroot, targets
from ansible_collections.intact.hosting.plugins.module_utils._preflight._context import perform
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._preflight import preflight_host as fake


@pytest.mark.parametrize(
    "known, live, offered, expected",
    [
        ("a", "a", True, "target"),
        ("a", "a", False, "live"),
        ("a", "b", True, "live"),
        ("a", None, True, "none"),
        (None, "a", True, "live"),
        (None, None, True, "target"),
    ],
)
def test_which_file_is_in_place_after_the_upgrade(known, live, offered, expected):
    assert _etc.fate(known, live, offered) == expected


def put(root, path, text, mode=0o644):
    full = os.path.join(str(root), path)
    os.makedirs(os.path.dirname(full), exist_ok=True)
    with open(full, "w", encoding="utf-8") as out:
        out.write(text)
    os.chmod(full, mode)


def got(root, path):
    with open(os.path.join(str(root), path), encoding="utf-8") as text:
        return text.read()


def test_etc_as_it_will_be(tmp_path):
    live, base, dest, own = (tmp_path / name for name in ("live", "base", "dest", "own"))
    put(live, "edited.conf", "mine")
    put(live, "plain.conf", "old", 0o600)
    put(live, "ucf.d/managed.conf", "old ucf")
    put(live, "ftp/modules.conf", "old modules")
    put(live, "two/two.conf", "old two")
    put(live, "local/secret.key", "key", 0o600)
    put(live, "php/8.2/pool.d/a.conf", "pool")
    put(live, "mail/mail.conf", "2.3")
    os.symlink("edited.conf", str(live / "link"))
    put(base, "etc/edited.conf", "theirs")
    put(base, "etc/plain.conf", "new")
    put(base, "etc/deleted.conf", "theirs")
    put(base, "etc/brand-new.conf", "fresh")
    put(base, "usr/share/pkg/ucf.d/managed.conf", "new ucf")
    put(base, "usr/share/ftp/templates/modules.conf", "new modules")
    put(base, "usr/share/two/examples/two.conf", "an example that works")
    put(base, "usr/share/two/templates/two.conf", "new two")
    put(own, "etc/mail/mail.conf", "2.4")
    md5 = _etc.digest
    fresh = _etc.merge(
        str(live),
        str(base),
        str(dest),
        {"/etc/edited.conf": "0" * 32, "/etc/plain.conf": md5(str(live / "plain.conf")), "/etc/deleted.conf": "1" * 32},
        {
            "/etc/ucf.d/managed.conf": md5(str(live / "ucf.d/managed.conf")),
            "/etc/ftp/modules.conf": md5(str(live / "ftp/modules.conf")),
            "/etc/two/two.conf": md5(str(live / "two/two.conf")),
        },
        [{"from": "/etc/php/8.2/pool.d", "to": "/etc/php/8.4/pool.d"}],
        str(own),
    )
    assert fresh == ["/etc/ftp/modules.conf", "/etc/plain.conf", "/etc/ucf.d/managed.conf"] and got(dest, "ftp/modules.conf") == "new modules"
    assert got(dest, "two/two.conf") == "old two", "of two sources nobody knows which one ucf takes"
    assert {p: got(dest, p) for p in ("edited.conf", "plain.conf", "ucf.d/managed.conf", "brand-new.conf", "php/8.4/pool.d/a.conf", "mail/mail.conf")} == {
        "edited.conf": "mine",
        "plain.conf": "new",
        "ucf.d/managed.conf": "new ucf",
        "brand-new.conf": "fresh",
        "php/8.4/pool.d/a.conf": "pool",
        "mail/mail.conf": "2.4",
    }
    assert not os.path.lexists(str(dest / "deleted.conf"))
    assert os.readlink(str(dest / "link")) == "edited.conf"
    assert os.stat(str(dest / "local/secret.key")).st_mode & 0o777 == 0o600
    # dpkg gives a replaced conffile the mode of the one it replaces
    assert os.stat(str(dest / "plain.conf")).st_mode & 0o777 == 0o600
    assert got(live, "mail/mail.conf") == "2.3" and got(live, "plain.conf") == "old"


def test_files_are_carried_as_the_upgrade_does(tmp_path):
    live, base, dest = tmp_path / "live", tmp_path / "base", tmp_path / "dest"
    put(live, "php/8.2/pool.d/a.conf", "mine")
    put(live, "php/8.2/pool.d/www.conf", "as shipped")
    put(live, "php/8.2/php.ini", "x = 1")
    put(live, "sysctl.conf", "a = 1")
    put(base, "etc/php/8.4/pool.d/www.conf", "the target's own")
    rules = [
        {"from": "/etc/php/8.2/pool.d/*", "to": "/etc/php/8.4/pool.d/", "edited_only": True},
        {"kind": "ini-differences", "from": "/etc/php/8.2/php.ini", "to": "/etc/php/8.4/conf.d/99.ini"},
        {"from": "/etc/sysctl.conf", "to": "/etc/sysctl.d/zz.conf"},
        {"from": "/home/x", "to": "/etc/x"},
    ]
    shipped = {"/etc/php/8.2/pool.d/www.conf": _etc.digest(str(live / "php/8.2/pool.d/www.conf"))}
    _etc.merge(str(live), str(base), str(dest), shipped, {}, rules)
    assert got(dest, "php/8.4/pool.d/a.conf") == "mine" and got(dest, "php/8.4/pool.d/www.conf") == "the target's own"
    assert got(dest, "sysctl.d/zz.conf") == "a = 1" and not os.path.lexists(str(dest / "php/8.4/conf.d")) and not os.path.lexists(str(dest / "x"))


def test_a_link_in_etc_is_never_followed(tmp_path):
    live, base, dest = tmp_path / "live", tmp_path / "base", tmp_path / "dest"
    put(tmp_path / "outside", "file", "untouched")
    put(live, "d/file", "mine")
    os.makedirs(str(base / "etc"))
    os.symlink(str(tmp_path / "outside"), str(base / "etc/d"))
    _etc.merge(str(live), str(base), str(dest), {}, {})
    assert got(tmp_path / "outside", "file") == "untouched" and got(dest, "d/file") == "mine"


def test_dpkgs_and_ucfs_records():
    text = " /etc/a b.conf 0123456789abcdef0123456789abcdef\n /etc/gone 0123456789abcdef0123456789abcdef obsolete\n"
    assert _etc.parse_conffiles(text) == {"/etc/a b.conf": "0123456789abcdef0123456789abcdef"}
    assert _etc.parse_ucf("0123456789abcdef0123456789abcdef  /etc/x\n") == {"/etc/x": "0123456789abcdef0123456789abcdef"}


PLAN = {
    "upgrade": [{"name": "dovecot-core", "from": "1:2.3", "to": "1:2.4"}, {"name": "dovecot-imapd", "from": "1:2.3", "to": "1:2.4"}],
    "install": [{"name": "php8.4-fpm", "to": "8.4"}],
    "apt": {},
}
HERE = fake.packages(dovecot_core="1:2.3", dovecot_imapd="1:2.3", postfix="3.7") + "php8.2-fpm\t8.2\tii \n"


def test_only_daemons_that_get_another_version_are_asked():
    chosen = {d.name: versions for d, versions in targets.daemons(fake.context(installed=HERE, plan=PLAN))}
    assert chosen == {"dovecot": {"dovecot-core": "1:2.4", "dovecot-imapd": "1:2.4"}, "php-fpm 8.4": {"php8.4-fpm": "8.4"}}


def test_a_release_path_adds_and_changes_daemons():
    path = dict(
        fake.PATH,
        target_checks=[
            {"name": "tool", "packages": ["tool"], "command": ["toolctl", "check"], "configuration": "/etc/tool"},
            {"name": "dovecot", "command": ["doveconf", "-c", "/x"]},
            {"name": "absent", "packages": ["absent"], "command": ["a"], "configuration": "/etc/a"},
        ],
    )
    plan = dict(PLAN, upgrade=PLAN["upgrade"] + [{"name": "tool", "to": "2"}])
    chosen = {d.name: d for d, _v in targets.daemons(fake.context(installed=HERE + fake.packages(tool="1"), plan=plan, release_path=path))}
    assert set(chosen) == {"dovecot", "php-fpm 8.4", "tool"}
    assert chosen["tool"].argv == ("toolctl", "check") and chosen["dovecot"].argv == ("doveconf", "-c", "/x") and chosen["dovecot"].target == ("dovecot-*",)


def test_a_daemons_words_are_told_with_the_path():
    said = "doveconf: Warning: something\ndoveconf: Fatal: Error in configuration file /etc/dovecot/conf.d/10-auth.conf line 5: Unknown "
    said += "setting: disable_plaintext_auth\n"
    assert "disable_plaintext_auth" in targets.telling(said)
    assert targets.place(said, "/etc/dovecot") == "/etc/dovecot/conf.d/10-auth.conf"
    assert targets.place("no path at all", "/etc/dovecot") == "/etc/dovecot"


def answer(monkeypatch, told, **options):
    monkeypatch.setattr(_targetroot, "own_state", lambda context: ("/c", "/a"))
    monkeypatch.setattr(_targetroot, "unpacked", lambda context, config, archives, packages: "/base")
    seen = {}

    def ask(context, base, orders, target_files):
        seen.update(orders=orders, target_files=target_files)
        if isinstance(told, Exception):
            raise told
        return [dict({"name": order["name"], "rc": 0, "out": "", "err": ""}, **told.get(order["name"], {})) for order in orders], []

    monkeypatch.setattr(_targetroot, "ask", ask)
    context = fake.context(
        {"systemctl is-active": options.pop("active", "active"), "systemctl is-enabled": "disabled"}, installed=HERE, plan=PLAN, options=options
    )
    return context, targets.valid_there(context), seen


def test_a_refused_configuration_blocks_with_the_place_to_fix_it(monkeypatch):
    broken = {"dovecot": {"rc": 89, "err": "doveconf: Fatal: /etc/dovecot/dovecot.conf line 1: Unknown setting: x"}}
    _context, (finding,), seen = answer(monkeypatch, broken, target_files="/priv/t", target_files_name="inventories/lab/target")
    assert (finding.id, finding.severity, finding.subject) == ("config.target.broken", "blocker", "dovecot")
    assert "1:2.4" in finding.title and "etc/dovecot/..." in finding.remedy and "inventories/lab/target" in finding.remedy
    assert seen["target_files"] == "/priv/t" and [o["name"] for o in seen["orders"]] == ["dovecot", "php-fpm 8.4"]


def test_a_daemon_that_nobody_uses_only_warns(monkeypatch):
    (finding,) = answer(monkeypatch, {"dovecot": {"rc": 89, "err": "Fatal: x"}}, active="inactive")[1]
    assert finding.severity == "warning"


def test_accepted_configurations_are_silent_and_a_failure_never_is(monkeypatch):
    assert answer(monkeypatch, {})[1] == []
    (finding,) = answer(monkeypatch, IntactError("no private mounts are possible here"))[1]
    assert (finding.id, finding.severity) == ("config.target.unchecked", "blocker") and "dovecot" in finding.subject


def test_nothing_to_ask_without_a_plan():
    assert targets.valid_there(fake.context(installed=HERE)) == []


def test_what_apt_would_fetch_and_what_a_check_needs():
    text = "'http://m/d/dovecot-core_2.4_amd64.deb' dovecot-core_1%3a2.4_amd64.deb 1000 SHA256:x\n'http://m/p.deb' perl_5.40_amd64.deb 900 SHA256:y\nnoise\n"
    files = _targetroot.parse_uris(text)
    assert files == {"dovecot-core_1%3a2.4_amd64.deb": 1000, "perl_5.40_amd64.deb": 900}
    assert _targetroot.wanted(files, ["dovecot-core=1:2.4"]) == ["dovecot-core_1%3a2.4_amd64.deb"]
    # a module that embeds an interpreter needs it to be loaded
    assert _targetroot.wanted(files, ["libnginx-mod-http-perl=1.26"]) == sorted(files)


def test_modules_of_packages_that_go_are_disabled(tmp_path):
    for name in ("php8.2.load", "php8.2.conf", "ssl.load"):
        put(tmp_path, "apache2/mods-enabled/" + name, "")
    _targetroot.modules(str(tmp_path), ["libapache2-mod-php8.2", "bash"], [])
    assert os.listdir(str(tmp_path / "apache2/mods-enabled")) == ["ssl.load"]


@pytest.mark.parametrize("old, expected", [("php8.2.load", ["php8.4.conf", "php8.4.load"]), ("ssl.load", ["ssl.load"])])
def test_the_php_that_comes_is_on_where_the_one_that_goes_was(tmp_path, old, expected):
    """A virtual host with php_admin_value would be refused otherwise, though the target accepts it."""
    put(tmp_path, "apache2/mods-enabled/" + old, "")
    for name in ("php8.4.load", "php8.4.conf"):
        put(tmp_path, "apache2/mods-available/" + name, "")
    _targetroot.modules(str(tmp_path), ["libapache2-mod-php8.2"], ["libapache2-mod-php8.4", "bash"])
    enabled = tmp_path / "apache2/mods-enabled"
    assert sorted(os.listdir(str(enabled))) == expected
    assert all(os.path.exists(str(enabled / name)) for name in expected)


def test_the_registry_holds_each_required_check_and_refuses_unknown_ones():
    numbers = [check.number for check in _registry.CHECKS]
    required = range(1, 54)
    assert sorted(numbers) == ["PF%02d" % n for n in required]
    # what is broken today, or refused at the target, is not told twice
    assert numbers.index("PF40") < numbers.index("PF41") < numbers.index("PF30")
    assert [c.number for c in _registry.chosen(["PF06"])] == ["PF06"] and len(_registry.chosen(skip=["PF06"])) == len(numbers) - 1
    with pytest.raises(IntactError, match="PF99"):
        _registry.chosen(["PF99"])


def test_without_a_path_only_checks_that_need_none_are_run():
    numbers = [check.number for check in _registry.chosen(path=False)]
    assert {"PF01", "PF04", "PF12", "PF23", "PF33", "PF36", "PF40", "PF48"} <= set(numbers)
    assert not set(numbers) & _registry.NEED_PATH
    assert set(numbers) | _registry.NEED_PATH == {check.number for check in _registry.CHECKS}
    assert [c.number for c in _registry.chosen(["PF04", "PF41"], path=False)] == ["PF04"]


def test_a_check_that_cannot_be_done_is_a_blocker_and_hides_no_other():
    def refuse(_context):
        raise IntactError("dpkg is not installed on this host")

    def defect(_context):
        return 1 / 0

    findings, told = perform([Check("PF90", "a", refuse), Check("PF91", "b", defect), Check("PF92", "c", lambda _c: [])], fake.context())
    assert [(f.id, f.severity, f.check) for f in findings] == [("preflight.unchecked", "blocker", "PF90"), ("preflight.unchecked", "blocker", "PF91")]
    assert "defect" in findings[1].evidence and [t["findings"] for t in told] == [1, 1, 0]
