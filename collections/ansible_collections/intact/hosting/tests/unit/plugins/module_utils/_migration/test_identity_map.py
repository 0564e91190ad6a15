# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The identity map between a CentOS 5 of 2008 and a fresh Debian: who is who, who gets which number, and who gets nothing."""

from __future__ import annotations

import json
import os
import random
import stat
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import (
    _identity,
    _identity_files,
    _identity_map,
    _identity_numbers,
    _identity_owners,
    _identity_run,
    _identity_services,
    _identity_users,
)
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._migration import identity_fixture as fixture


@pytest.fixture
def mapped(tmp_path):
    """mapped(**options): the result between the two roots."""
    old, new = fixture.roots(tmp_path)
    return lambda **more: _identity_run.run(fixture.parameters(old, new, **more))


def ids(result, name):
    """Subjects of findings of one id."""
    return sorted(f["subject"] for f in result["findings"] if f["id"] == "identity." + name)


def test_people_by_name_and_numbers_that_are_free(mapped):
    users = mapped()["users"]
    live = {int(line.split(":")[2]) for line in fixture.NEW_PASSWD.splitlines()}
    for name in ("anna", "carol.x", "dave", "eve", "frank", "gina", "wally"):
        assert users[name]["how"] == "new" and users[name]["new"] >= 1000 and users[name]["new"] not in live, name
    assert users["vmail"] == dict(users["vmail"], how="new", new=5000, gid=5000)
    assert users["bob"]["how"] == "merged" and users["bob"]["new"] == 1001, "locked, no keys, the same home"
    assert users["frank"]["new"] != 998, "998 is a daemon's here"
    assert users["ftpcarol"]["new"] == users["carol.x"]["new"], "two names of one number stay one"


@pytest.mark.parametrize(
    ("old", "name", "number"),
    [("apache", "www-data", 33), ("mysql", "mysql", 103), ("postfix", "postfix", 102), ("mailman", "list", 38), ("nobody", "nobody", 65534), ("bin", "bin", 2)],
)
def test_services_by_what_they_are_called(mapped, old, name, number):
    result = mapped()
    entry = result["users"][old]
    assert (entry["name"], entry["new"]) == (name, number) and result["uids"][str(entry["old"])] == number


def test_only_root_is_root(mapped):
    result = mapped()
    assert result["uids"]["0"] == 0 and [old for old, new in result["uids"].items() if new == 0] == ["0"]
    assert result["users"]["toor"]["how"] == "orphan" and ids(result, "root.alias") == ["user toor"]


def test_absent_services_and_nameless_files_go_where_nobody_is(mapped):
    result = mapped(owners={"users": {"1234": 17, 89: 3, "5001": 1}, "groups": {"700": 2}})
    assert result["users"]["named"]["new"] == 200025 and result["users"]["oracle"]["new"] == 200200
    assert result["orphans"]["users"]["1234"] == {"new": 201234, "count": 17, "name": ""} and "89" not in result["orphans"]["users"]
    assert result["gids"]["700"] == 200700 and ids(result, "orphans") == ["groups", "users"]


def test_same_name_is_a_conflict_unless_it_is_the_same_one(mapped):
    result = mapped()
    conflicts = {(c["kind"], c["name"]) for c in result["conflicts"]}
    assert conflicts == {("user", "list"), ("user", "deploy"), ("group", "list"), ("group", "deploy"), ("group", "docker")}
    assert result["uids"]["506"] == 200506, "nobody's, until it is said whose"
    said = mapped(same=["deploy"], rename={"list": "list-customer", "docker": "shipping"})
    assert said["conflicts"] == [] and said["users"]["deploy"]["new"] == 1000 and said["users"]["list"]["name"] == "list-customer"
    assert said["groups"]["docker"]["members"] == ["eve"] and said["groups"]["docker"]["name"] == "shipping"


@pytest.mark.parametrize(
    ("row", "shadow", "keys", "how"),
    [
        ("eve:x:1002:1002::/home/eve:/bin/bash", "eve:!:1::::::", False, "merged"),
        ("eve:x:1002:1002::/home/other:/bin/bash", "eve:!:1::::::", False, "orphan"),
        ("eve:x:1002:1002::/home/eve:/bin/bash", "eve:$y$x$y:1::::::", False, "orphan"),
        ("eve:x:1002:1002::/home/eve:/bin/bash", "eve:%s:1::::::" % fixture.SHA, False, "merged"),
        ("eve:x:1002:1002::/home/eve:/bin/bash", "eve::1::::::", False, "orphan"),
        ("eve:x:1002:1002::/home/eve:/bin/bash", "eve:!:1::::::", True, "orphan"),
        ("eve:x:1002:27::/home/eve:/bin/bash", "eve:!:1::::::", False, "orphan"),
        ("eve:x:504:504::/home/eve:/bin/bash", "eve:!:1::::::", False, "orphan"),
    ],
)
def test_when_two_are_one(tmp_path, row, shadow, keys, how):
    old, new = fixture.roots(tmp_path)
    fixture.write(new, {"/etc/passwd": fixture.NEW_PASSWD + row + "\n", "/etc/shadow": (fixture.NEW_SHADOW + shadow + "\n", 0o640)})
    if keys:
        fixture.write(new, {"/home/eve/.ssh/authorized_keys": "ssh-ed25519 AAAA\n"})
    assert _identity_run.run(fixture.parameters(old, new))["users"]["eve"]["how"] == how


@pytest.mark.parametrize("there", [True, False])
@pytest.mark.parametrize("rule", ["eve ALL=(ALL) NOPASSWD: ALL", "root, eve ALL = /sbin/reboot", "User_Alias ADMINS = anna2, eve\nADMINS ALL=(ALL) ALL"])
def test_nobody_gets_the_rules_of_sudo_of_a_name(tmp_path, there, rule):
    old, new = fixture.roots(tmp_path)
    fixture.write(new, {"/etc/sudoers": "root ALL=(ALL:ALL) ALL\n%sudo ALL=(ALL) ALL\n@includedir /etc/sudoers.d\n", "/etc/sudoers.d/90-eve": rule + "\n"})
    if there:
        row = "eve:x:1002:1002::/home/eve:/bin/bash\n"
        fixture.write(new, {"/etc/passwd": fixture.NEW_PASSWD + row, "/etc/shadow": (fixture.NEW_SHADOW + "eve:!:1::::::\n", 0o640)})
    result = _identity_run.run(fixture.parameters(old, new))
    assert result["users"]["eve"]["how"] == "orphan" and "eve" in {c["name"] for c in result["conflicts"]}
    assert result["users"]["anna"]["how"] == "new" and result["users"]["bob"]["how"] == "merged"
    said = _identity_run.run(fixture.parameters(old, new, same=["eve"]))
    assert said["users"]["eve"]["how"] == ("merged" if there else "new")


def test_a_member_of_a_group_with_power_that_is_no_account_does_not_become_one(tmp_path):
    old, new = fixture.roots(tmp_path)
    with open(os.path.join(os.fsdecode(new), "etc", "group")) as handle:
        text = handle.read()
    assert "\nsudo:" in text
    lines = [line + ("," if line[-1] != ":" else "") + "eve" if line.startswith("sudo:") else line for line in text.splitlines()]
    fixture.write(new, {"/etc/group": "\n".join(lines) + "\n"})
    assert _identity_run.run(fixture.parameters(old, new))["users"]["eve"]["how"] == "orphan"


def test_a_suspended_customer_is_no_service(tmp_path):
    old, new = fixture.roots(tmp_path)
    fixture.write(old, {"/etc/shadow": (fixture.OLD_SHADOW.replace("list:", "list:!"), 0o400)})
    result = _identity_run.run(fixture.parameters(old, new))
    assert result["users"]["list"]["how"] == "orphan" and result["users"]["mailman"]["name"] == "list"


def test_nobody_joins_a_group_with_power(mapped):
    result = mapped()
    power = {"sudo", "docker", "disk", "shadow", "wheel", "root", "adm"}
    assert not [name for name, g in result["groups"].items() if g["name"] in power and g["members"]]
    assert ids(result, "member.power") == ["group disk", "group docker", "group wheel"]
    assert result["users"]["wally"]["group"] == "nogroup" and ids(result, "primary") == ["user wally"]
    assert mapped(powers={"wheel": "sudo"})["groups"]["wheel"] == dict(
        result["groups"]["wheel"], how="merged", new=27, name="sudo", members=["anna"], left=[], why="said by the operator"
    )


def test_memberships_that_give_nothing_new(mapped):
    groups = mapped()["groups"]
    assert groups["apache"]["name"] == "www-data" and groups["apache"]["members"] == ["bob"]
    assert groups["anna"]["members"] == ["www-data"], "the web server could read Anna's files there"
    assert groups["users"]["members"] == ["dave", "eve"] and groups["staffer"]["members"] == ["anna", "bob"]
    assert groups["ftpusers"]["how"] == "new" and groups["ftpusers"]["members"] == ["anna"]


def test_bad_lines_are_listed_and_no_hash_is_anywhere(mapped):
    result = mapped()
    assert ids(result, "file.malformed") == ["line %d of passwd on the old disk" % n for n in (28, 29, 30)]
    assert len(ids(result, "file.nis")) == 2 and ids(result, "file.duplicate") == ["anna on the old disk"]
    text = json.dumps(result)
    assert "M\\\\xfcller" not in text and not [h for h in (fixture.SHA, fixture.MD5, fixture.DES, fixture.BIG, fixture.BCRYPT, "geheim", "$y$") if h in text]
    assert result["weak"] == ["anna", "bob", "carol.x", "frank"] and ids(result, "password.empty") == ["user dave"]
    assert ids(result, "system.login") == ["user oracle"]


def test_the_map_is_written_once_private_and_stays(tmp_path):
    old, new = fixture.roots(tmp_path)
    dest = str(tmp_path / "identity.json")
    first = _identity_run.run(fixture.parameters(old, new, dest=dest, owners={"users": {"1234": 1}}))
    assert first["written"] and stat.S_IMODE(os.stat(dest).st_mode) == 0o600
    again = _identity_run.run(fixture.parameters(old, new, dest=dest, owners={"users": {"1234": 1}}))
    assert not again["written"] and again["uids"] == first["uids"]
    # somebody new on this host takes numbers that were free, and a name that sorts before
    fixture.write(new, {"/etc/passwd": fixture.NEW_PASSWD + "aaa:x:1500:1500::/home/aaa:/bin/sh\n", "/etc/group": fixture.NEW_GROUP + "aaa:x:1500:\n"})
    third = _identity_run.run(fixture.parameters(old, new, dest=dest))
    assert {n: e["new"] for n, e in third["users"].items()} == {n: e["new"] for n, e in first["users"].items()}
    assert fixture.SHA not in fixture.read(dest)
    with pytest.raises(IntactError, match="has the range 200000-299999"):
        _identity_run.run(fixture.parameters(old, new, dest=dest, range=[70000, 99999]))
    loaded = _identity_map.load(dest)
    assert loaded.uid(48) == 33 and loaded.gid(500) == third["gids"]["500"] and loaded.user("apache") == "www-data" and loaded.user("toor") is None


def test_a_number_that_the_map_does_not_know_is_nobodys(tmp_path):
    context = fixture.migration(tmp_path)
    identity = context.identity()
    live = {int(line.split(":")[2]) for line in fixture.NEW_PASSWD.splitlines()}
    for number in (33, 999, 1001, 4321, 65535, 150000, 4294967294):
        assert identity.uid(number) not in live and 200000 <= identity.uid(number) <= 299999
    assert identity.unknown["uid"] == {33, 999, 1001, 4321, 65535, 150000, 4294967294}
    assert len({identity.uid(n) for n in range(60000)}) >= 59000


@pytest.mark.parametrize(
    ("files", "word"),
    [
        ({"/etc/subuid": "deploy:165536:65536\n"}, "deploy may use 165536-231071"),
        ({"/etc/passwd": fixture.NEW_PASSWD + "x:x:200500:1::/:/bin/sh\n"}, "account x has number 200500"),
    ],
)
def test_orphans_range_must_be_free(tmp_path, files, word):
    old, new = fixture.roots(tmp_path)
    fixture.write(new, files)
    result = _identity_run.run(fixture.parameters(old, new))
    assert [f["severity"] for f in result["findings"] if f["id"] == "identity.range" and word in f["evidence"]] == ["blocker"]
    assert not ids(_identity_run.run(fixture.parameters(old, new, range=[70000, 99999])), "range")


def test_a_container_with_few_numbers_is_said():
    assert _identity_numbers.check_span((200000, 299999), [], held=[(0, 65536)]) == ["this host is a container that holds only 0-65535"]
    assert _identity_numbers.check_span((200000, 299999), [], held=[(0, 4294967295)]) == []


def test_whatever_the_accounts_are_nobody_gains(tmp_path):
    """Random account files: invariants of the map, checked here without its own code."""
    dice = random.Random(5)
    names = ["root", "apache", "www-data", "mysql", "list", "nobody", "sudo", "docker", "anna", "bob", "carol", "mail", "sys", "toor", "x-1"]
    for _round in range(500):
        sides = []
        for _side in (0, 1):
            passwd = ["root:x:0:0::/root:/bin/sh"] + [
                "%s:x:%d:%d::/home/%s:/bin/sh"
                % (n, dice.choice((0, 33, 48, 99, 100, 500, 501, 999, 1000, 1001, 65534)), dice.choice((0, 33, 100, 500, 1000)), n)
                for n in dice.sample(names[1:], dice.randrange(1, 10))
            ]
            shadow = ["%s:%s:1::::::" % (line.split(":")[0], dice.choice(("!", "", "*", fixture.SHA, fixture.DES))) for line in passwd]
            group = ["root:x:0:"] + [
                "%s:x:%d:%s" % (n, dice.choice((0, 27, 33, 48, 100, 500, 999, 1000, 1001)), ",".join(dice.sample(names, 2))) for n in dice.sample(names[1:], 8)
            ]
            sides.append({"passwd": "\n".join(passwd), "shadow": "\n".join(shadow), "group": "\n".join(group)})
        old, new = _identity_files.side(sides[0], "UID_MIN 500\nGID_MIN 500\n"), _identity_files.side(sides[1])
        document = _identity.build(old, new)
        live = {u["uid"] for u in new["users"].values()}
        for name, entry in document["users"].items():
            if entry["how"] == "new":
                sharing = [u for u in document["users"].values() if u["old"] == entry["old"] and u["how"] in ("same", "merged") and u["new"] == entry["new"]]
                assert entry["new"] not in live or sharing and entry["new"] >= 1000
                assert entry["new"] != 0 and entry["gid"] != 0 and entry["group"] not in _identity_services.POWER, (name, entry)
            if entry["how"] in ("same", "merged", "service") and entry["old"]:
                assert new["users"][entry["name"]]["uid"] == entry["new"]
                if entry["old"] >= 500 and entry["old"] < 65534 and entry["how"] != "service":
                    assert entry["new"] >= 1000 and not _identity_users.power_of(new["users"][entry["name"]], new)
        for name, entry in document["groups"].items():
            assert not entry["members"] or entry["name"] not in _identity_services.POWER, (name, entry)
        for table in ("uids", "gids"):
            assert all((int(old_number) == 0) == (number == 0) for old_number, number in document[table].items())
        assert document == _identity.build(old, new), "the same again"


def test_a_map_that_gives_somebodys_number_away_is_refused(tmp_path):
    old, new = fixture.roots(tmp_path)
    sides = _identity_files.read(fixture.Rooted(str(old))), _identity.read_new(fixture.Rooted(str(new)))
    good = _identity.build(*sides)
    for table, change, word in (
        ("uids", {"500": 33}, "to www-data"),
        ("gids", {"500": 0}, "only ever root"),
        ("uids", {"504": good["uids"]["500"]}, "makes one user"),
    ):
        with pytest.raises(IntactError, match=word):
            _identity.verify(dict(good, **{table: dict(good[table], **change)}), sides[1])


def test_owners_are_counted_with_those_in_access_lists(tmp_path):
    if os.geteuid():
        pytest.skip("needs root: gives files away")
    root = tmp_path / "old"
    fixture.write(root, {"/home/a/x": "1", "/home/b": "2", b"/home/caf\xe9".decode("utf-8", "surrogateescape"): "3", "/secret": "4"})
    os.chown(root / "home/a/x", 1234, 700)
    os.chown(root / "secret", 4242, 4242)
    os.symlink("/etc", root / "home/link")
    os.chown(root / "home/link", 77, 77, follow_symlinks=False)
    os.symlink("home", root / "linked")
    if subprocess.run(["setfacl", "-m", "u:888:r,g:999:r", str(root / "home/b")], check=False).returncode:
        pytest.skip("needs setfacl and a filesystem with access lists")
    subprocess.run(["setfacl", "-d", "-m", "u:889:r", str(root / "home/a")], check=True)
    found = _identity_owners.count(str(root), ["/home"])
    assert found["users"] == {0: 4, 77: 1, 888: 1, 889: 1, 1234: 1} and found["groups"] == {0: 4, 77: 1, 700: 1, 999: 1} and found["unread"] == []
    with pytest.raises(IntactError, match="linked of the old disk"):
        _identity_owners.count(str(root), ["/linked"])


def test_a_root_that_is_none_is_named(tmp_path):
    old, new = fixture.roots(tmp_path)
    with pytest.raises(IntactError, match="no /etc/passwd with root"):
        _identity_run.run(fixture.parameters(tmp_path / "nothing", new))
    os.unlink(old / "etc/shadow")
    with pytest.raises(IntactError, match="shadow is missing or empty"):
        _identity_run.run(fixture.parameters(old, new))


def test_first_numbers_of_old_systems():
    assert [_identity_files.first_of(text) for text in ("CentOS release 5.2 (Final)", "Fedora release 14", "CentOS Linux release 7.9", "")] == [
        500,
        500,
        1000,
        1000,
    ]
