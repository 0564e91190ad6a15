# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The archives that cPanel and DirectAdmin make by their own schedule, as sources: proven when they are taken, refused by name when they are not whole."""

from __future__ import annotations

import json
import os
import subprocess
import tarfile
from types import SimpleNamespace

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._panels import _chain, _export, _run, _sources, _verify, cpanel, directadmin
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.stand_in_run import TESTS

from stand_ins.cpanel import host as cpanel_host  # isort: skip (found by stand_in_run)
from stand_ins.directadmin import host as directadmin_host  # isort: skip

assert TESTS
DAYS = ("2026-11-21", "2026-11-22")
DA = "/home/admin/admin_backups"


def packed(machine, user, target, *options):
    """The panel's own archive of an account, by its stand-in; its path."""
    if machine.panel is cpanel:
        machine.view().run(["/usr/local/cpanel/scripts/pkgacct", *options, user, str(machine.at(target))])
        os.rename(machine.at("%s/cpmove-%s.tar.gz" % (target, user)), machine.at("%s/%s.tar.gz" % (target, user)))
        return machine.at("%s/%s.tar.gz" % (target, user))
    machine.at(target).chmod(0o755)
    machine.at(target).parent.chmod(0o755)
    machine.view().run(["/usr/local/directadmin/directadmin", "admin-backup", "--destination=%s" % machine.at(target), "--user=" + user])
    return next(machine.at(target).glob("*.%s.tar.*" % user))


@pytest.fixture
def site(request, tmp_path):
    """A host with backups of two nights (DirectAdmin: two directories); sources(): as a restore has them; choose(): the chain's choice."""
    driver = request.param
    machine = (cpanel_host if driver is cpanel else directadmin_host).install(tmp_path / "host")
    machine.panel = driver
    tops = ["/backup/%s/accounts" % day if driver is cpanel else "%s/%s" % (DA, day) for day in DAYS]
    users = ("alice", "bob", "carol") if driver is cpanel else ("admin", "rita", "mina", "nils")
    paths = {}
    for number, top in enumerate(tops):
        machine.at(top).mkdir(parents=True)
        for user in users:
            paths[number, user] = packed(machine, user, top)
            os.utime(paths[number, user], (1763700000 + number * 86400,) * 2)

    def choose(mode="settings"):
        view = machine.view()
        settings = _run.Settings(root=str(tmp_path / "panel"), mode=mode)
        sources = _sources.Sources(driver, view, driver.detect(view), settings, scratch=str(tmp_path / "scratch"))
        choice = _chain.choose(sources.all(), sources.prove)
        return SimpleNamespace(choice=choice, findings=_chain.findings(choice, driver.NAME) + choice.findings)

    machine.paths, machine.choose, machine.tops, machine.users, machine.first = paths, choose, tops, users, users[0 if driver is cpanel else 2]
    return machine


both = pytest.mark.parametrize("site", [cpanel, directadmin], indirect=True, ids=["cpanel", "directadmin"])


def cut(path):
    os.truncate(path, os.path.getsize(path) - 500)


def flip(path):
    with open(path, "r+b") as handle:
        handle.seek(os.path.getsize(path) // 2)
        byte = handle.read(1)
        handle.seek(-1, 1)
        handle.write(bytes([byte[0] ^ 1]))


@both
def test_the_newest_night_is_taken_read_whole_as_settings_and_what_it_lacks_is_told(site):
    told = site.choose()
    assert (told.choice.taken.kind, told.choice.taken.path) == ("daily", site.tops[1]), told.findings
    document = _export.read(told.choice.path)
    assert (document["verdict"], document["mode"], document["rescued"]) == ("proven", "settings", {"kind": "daily", "path": site.tops[1]})
    lacks = [finding for finding in told.findings if finding.id == "panel.source.lacks"]
    assert len(lacks) == 1 and "sites and mail" in lacks[0].evidence
    with _verify.Opened(told.choice.path) as opened:
        objects = opened.inventory()["objects"]
        assert len(objects["customer"]) == len(site.users) and objects["mailbox"] and objects["database"] and objects["database_user"]
        live = site.panel.inventory(site.view(), site.panel.detect(site.view()))["objects"]
        for kind in ("customer", "domain", "mailbox", "forward", "database", "database_user", "dns_zone", "cron_job"):
            assert objects[kind].keys() == live[kind].keys(), kind
        held = [member for name in opened.names("artefact") if ".tar" in name for member in opened.contents(name).members]
    assert held and not [member for member in held if "public_html" in member or "/mail/" in member or member.startswith(("imap/", "domains/"))]
    for folder, _folders, names in os.walk(told.choice.path):
        assert all(os.stat(os.path.join(folder, name)).st_mode & 0o077 == 0 for name in names)
    secrets = (cpanel_host if site.panel is cpanel else directadmin_host).SECRETS.values()
    said = json.dumps([[f.as_dict() for f in told.findings], document])
    assert not [secret for secret in secrets if secret in said]


@both
@pytest.mark.parametrize("damage, words", [(cut, "damaged"), (flip, "damaged"), (lambda path: os.truncate(path, 0), "no archive")])
def test_a_night_with_one_damaged_archive_is_refused_and_the_one_before_is_taken(site, damage, words):
    damage(site.paths[1, site.first])
    told = site.choose()
    assert told.choice.taken.path == site.tops[0]
    (refused,) = [why for _source, why, _found in told.choice.refused]
    assert words in refused and site.first in refused
    assert not [name for name in os.listdir(os.path.dirname(told.choice.path)) if name.endswith(".part")]


@both
@pytest.mark.parametrize("error", [OSError(5, "Input/output error"), KeyError("what nobody thought of")])
def test_a_night_that_a_dying_disk_does_not_give_is_refused_and_the_one_before_is_taken(site, error, monkeypatch):
    take = site.panel.take

    def dying(view, found, path, target, say):
        if path == site.tops[1]:
            raise error
        return take(view, found, path, target, say)

    monkeypatch.setattr(site.panel, "take", dying)
    told = site.choose()
    assert told.choice.taken.path == site.tops[0]
    ((source, why, _found),) = told.choice.refused
    assert source.path == site.tops[1] and str(error.args[-1]) in why


@both
def test_a_disk_that_can_not_be_looked_at_is_refused_and_hides_no_other_source(site, tmp_path, monkeypatch):
    (tmp_path / "old/etc").mkdir(parents=True)
    detect = site.panel.detect

    def dying(view):
        if os.fsdecode(view.root) == str(tmp_path / "old"):
            raise OSError(5, "Input/output error", "/etc/version")
        return detect(view)

    monkeypatch.setattr(site.panel, "detect", dying)
    view = site.view()
    settings = _run.Settings(root=str(tmp_path / "panel"))
    sources = _sources.Sources(site.panel, view, detect(view), settings, disks=[str(tmp_path / "old")], scratch=str(tmp_path / "scratch"))
    found = {source.path: source.why for source in sources.all()}
    assert "Input/output error" in found[str(tmp_path / "old")] and len(found) > 1
    monkeypatch.setattr(site.panel, "detect", lambda view: detect(site.view()))
    monkeypatch.setattr(site.panel, "daily", lambda view, found: os.listdir("/proc/self/mem"))
    monkeypatch.setattr(_sources, "_same", lambda one, whose: True)
    found = [(source.kind, bool(source.why)) for source in sources.all()]
    assert found == [("daily", True), ("daily", True), ("disk", False)], "its database may still be read"


@both
def test_a_database_that_the_panel_left_out_without_a_word_is_missed(site):
    database = "alice_shop" if site.panel is cpanel else "mina_shop"
    site.switch("missing_dump", [database])
    if site.panel is cpanel:
        packed(site, site.first, site.tops[1])
    else:
        # DirectAdmin names the users of a database in a file beside its dump: without the dump
        path = site.paths[1, site.first]
        plain = subprocess.run(["zstd", "-qdc", str(path)], check=True, capture_output=True).stdout
        kept = str(path) + ".plain"
        with open(kept, "wb") as handle:
            handle.write(plain)
        with tarfile.open(kept) as old, tarfile.open(kept + ".new", "w") as new:
            for member in old:
                if member.name != "backup/%s.sql" % database:
                    new.addfile(member, old.extractfile(member))
        subprocess.run(["zstd", "-qf", kept + ".new", "-o", str(path)], check=True)
        os.unlink(kept)
        os.unlink(kept + ".new")
    told = site.choose()
    assert told.choice.taken.path == site.tops[0]
    assert [(f.id, f.subject) for _source, _why, found in told.choice.refused for f in found] == [
        ("panel.object.missing", "%s database %s" % (site.panel.NAME, database))
    ]


@both
def test_an_account_without_an_archive_is_told(site):
    gone = site.users[-1]
    for number in (0, 1):
        os.unlink(site.paths[number, gone])
    told = site.choose()
    assert ("panel.source.lacks", "%s customer %s" % (site.panel.NAME, gone)) in [(f.id, f.subject) for f in told.findings]


@pytest.mark.parametrize("site", [directadmin], indirect=True, ids=["directadmin"])
def test_a_link_that_the_administrators_account_made_is_not_followed(site):
    path = site.paths[1, "mina"]
    os.rename(path, str(path) + ".held")
    os.symlink(str(path) + ".held", path)
    told = site.choose()
    assert told.choice.taken.path == site.tops[0] and "link" in told.choice.refused[0][1]


@pytest.mark.parametrize("site", [cpanel], indirect=True, ids=["cpanel"])
def test_two_archives_of_one_account_are_not_guessed_between(site):
    os.link(site.paths[1, "bob"], site.at(site.tops[1]) / "cpmove-bob.tar.gz")
    told = site.choose()
    assert "two archives of bob" in told.choice.refused[0][1] and told.choice.taken.path == site.tops[0]
