# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The phase accounts on scratch roots: what is written, what is never written, cut and run again; logins are tried with the host's own libcrypt."""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import shutil
import stat
import subprocess
import sys
import threading

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _identity as writing
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _accounts_weak, _class_accounts, _identity_run, accounts
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._migration import identity_fixture as fixture


@pytest.fixture
def context(tmp_path):
    """A migration whose map is written."""
    return fixture.migration(tmp_path)


def etc(context, kind):
    """{name: fields} of a file of the new host."""
    return {line.split(":")[0]: line.split(":") for line in fixture.read(context.system.root.decode(), "etc", kind).splitlines() if line}


def said(document, ident):
    """Subjects of findings of one id."""
    return sorted(f["subject"] for f in document["findings"] if f["id"] == "accounts." + ident)


def snapshot(context):
    """The four files, with inode, mode and owner."""
    out = {}
    for kind in ("passwd", "shadow", "group", "gshadow"):
        path = os.path.join(context.system.root.decode(), "etc", kind)
        entry = os.stat(path)
        out[kind] = (fixture.read(path), stat.S_IMODE(entry.st_mode), entry.st_uid, entry.st_gid, entry.st_ino)
    return out


def differing(context, document):
    """Differences that no word of the phase and no rule explains."""
    old, new = _class_accounts.old(context), _class_accounts.new(context)
    lines = {(line["subject"], line.get("attribute", "")) for line in document["explained"]}
    out = []
    for subject in sorted(set(old) | set(new)):
        if subject not in old or subject not in new:
            out.append((subject, "missing" if subject in old else "extra"))
            continue
        for attribute in sorted(set(old[subject]) | set(new[subject])):
            if old[subject].get(attribute) != new[subject].get(attribute) and (subject, attribute) not in lines:
                out.append((subject, attribute))
    return [(subject, what) for subject, what in out if (subject, "") not in lines]


CONFLICTS = [("group deploy", "missing"), ("group docker", "missing"), ("group list", "missing"), ("user deploy", "missing"), ("user list", "missing")]


def test_accounts_are_made_with_their_hashes_byte_for_byte(context):
    before = snapshot(context)
    document = accounts.run(context)
    passwd, shadow = etc(context, "passwd"), etc(context, "shadow")
    assert document["changed"] and document["counts"]["created"] == 9
    assert passwd["anna"][4] == "Anna M\xfcller" and int(passwd["anna"][2]) == context.identity().uid(500)
    assert [shadow[n][1] for n in ("anna", "bob", "carol.x", "eve", "frank")] == [fixture.MD5, fixture.DES, fixture.BIG, fixture.SHA, "geheim"]
    assert shadow["bob"][2:] == ["14000", "3", "90", "7", "14", "14999", ""], "expiry is kept"
    assert shadow["ftpcarol"][1] == "!" + fixture.SHA and shadow["gina"][1] == "!!" + fixture.SHA and shadow["vmail"][1] == "!!", "locked stays locked"
    assert shadow["dave"][1] == "!" and said(document, "password.empty") == ["user dave"]
    assert passwd["carol.x"][6] == passwd["dave"][6] == "/usr/sbin/nologin" and said(document, "shell.missing") == ["user carol.x", "user dave"]
    assert said(document, "password.weak") == ["user anna", "user bob", "user carol.x", "user frank"]
    after = snapshot(context)
    for kind, mode in (("passwd", 0o644), ("shadow", 0o640), ("group", 0o644), ("gshadow", 0o640)):
        assert after[kind][1:4] == before[kind][1:4] and after[kind][1] == mode
        assert all(line in after[kind][0] for line in before[kind][0].splitlines() if not line.startswith(("bob:!:", "users:", "www-data:")))
    text = json.dumps(document) + "".join(context.told)
    assert not [h for h in (fixture.SHA, fixture.MD5, fixture.DES, fixture.BIG, fixture.BCRYPT, "geheim") if h in text]


def test_nobody_who_must_not_is_carried(context):
    accounts.run(context)
    passwd, group = etc(context, "passwd"), etc(context, "group")
    assert not {"toor", "oracle", "apache", "named", "squid", "minus", "half"} & set(passwd)
    assert [row[0] for row in passwd.values() if row[2] == "0"] == ["root"] and etc(context, "shadow")["root"][1] == "$y$j9T$new$new"
    assert group["sudo"][3] == "deploy" and group["docker"][3] == group["disk"][3] == group["shadow"][3] == ""
    assert passwd["list"][2] == "38" and passwd["deploy"][2] == "1000" and etc(context, "shadow")["deploy"][1] == "$y$j9T$deploy$deploy"
    assert group["www-data"][3] == "bob" and group["anna"][3] == "www-data" and group["staffer"][3] == "anna,bob"
    assert etc(context, "gshadow")["staffer"][1:] == ["!", "", "anna,bob"]


def test_again_and_in_check_mode_nothing_is_written(context):
    before = snapshot(context)
    assert accounts.run(context, check=True)["changed"] and snapshot(context) == before
    accounts.run(context)
    after = snapshot(context)
    again = accounts.run(context)
    assert not again["changed"] and snapshot(context) == after and again["counts"]["created"] == 0


def test_the_map_is_the_same_when_its_accounts_are_there(context):
    root = context.system.root.decode()
    fixture.write(context.root, {"/etc/shadow": (fixture.OLD_SHADOW.replace("bob:" + fixture.DES, "bob:!!"), 0o400)})
    os.unlink(context.directory + "/identity.json")
    given = fixture.parameters(context.root, root, dest=context.directory + "/identity.json")
    assert _identity_run.run(given)["users"]["bob"]["how"] == "merged"
    accounts.run(context)
    fixture.write(root, {"/home/bob/.ssh/authorized_keys": "ssh-ed25519 AAAA\n"})
    assert not _identity_run.run(given)["written"], "keys that came with the files make nobody another person"


def test_a_password_changed_since_stays(context):
    accounts.run(context)
    path = os.path.join(context.system.root.decode(), "etc/shadow")
    fixture.write("/", {path: (fixture.read(path).replace("eve:" + fixture.SHA, "eve:$y$hers").replace("bob:" + fixture.DES, "bob:$y$his"), 0o640)})
    document = accounts.run(context)
    assert not document["changed"] and etc(context, "shadow")["eve"][1] == "$y$hers" and etc(context, "shadow")["bob"][1] == "$y$his"


@pytest.mark.parametrize("cut", ["group", "gshadow", "passwd", "shadow"])
def test_cut_between_two_files_and_run_again(context, monkeypatch, cut, tmp_path):
    """Killed before each of the four files is renamed: what is there is whole, and the next run ends where one run would have."""
    real = writing.write_atomic

    def killed(path, data, mode=0o600):
        if path.endswith("/" + cut):
            raise KeyboardInterrupt
        real(path, data, mode)

    monkeypatch.setattr(writing, "write_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        accounts.run(context)
    monkeypatch.undo()
    assert accounts.run(context)["changed"]
    whole = fixture.migration(tmp_path / "whole")
    accounts.run(whole)
    assert {k: v[0] for k, v in snapshot(context).items()} == {k: v[0] for k, v in snapshot(whole).items()}


def test_waits_for_whoever_holds_the_lock(context):
    lock = os.path.join(context.system.root.decode(), "etc/.pwd.lock")
    holder = subprocess.Popen(
        ["python3", "-c", "import fcntl,sys\nf=open(%r,'w')\nfcntl.lockf(f,fcntl.LOCK_EX)\nprint(1,flush=True)\nsys.stdin.read()" % lock],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    try:
        holder.stdout.readline()
        before = snapshot(context)
        runner = threading.Thread(target=accounts.run, args=(context,))
        runner.start()
        runner.join(0.5)
        assert runner.is_alive() and snapshot(context) == before
        holder.stdin.close()
        runner.join(10)
        assert not runner.is_alive() and "anna" in etc(context, "passwd")
    finally:
        holder.kill()
        holder.wait()
    with open(lock, "w", encoding="ascii") as handle:
        fcntl.lockf(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)


@pytest.mark.parametrize(
    ("kind", "line", "ident"),
    [
        ("passwd", "anna:x:1234:1234::/srv:/bin/sh", "user.taken"),
        ("passwd", "stranger:x:%(anna)d:1234::/srv:/bin/sh", "user.taken"),
        ("group", "stranger:x:%(anna)d:", "group.taken"),
    ],
)
def test_a_number_taken_since_is_a_blocker_and_not_shared(context, kind, line, ident):
    number = context.identity().uid(500)
    path = os.path.join(context.system.root.decode(), "etc", kind)
    fixture.write("/", {path: fixture.read(path) + line % {"anna": number} + "\n"})
    document = accounts.run(context)
    assert [f["severity"] for f in document["findings"] if f["id"] == "accounts." + ident] == ["blocker"]
    column = 2
    assert [row[0] for row in etc(context, kind).values() if row[column] == str(number)] in ([], ["stranger"])


def test_an_account_with_power_keeps_its_own_password(tmp_path):
    context = fixture.migration(tmp_path, same=["deploy"])
    path = os.path.join(context.system.root.decode(), "etc/shadow")
    fixture.write("/", {path: (fixture.read(path).replace("$y$j9T$deploy$deploy", "!"), 0o640)})
    document = accounts.run(context)
    assert etc(context, "shadow")["deploy"][1] == "!" and said(document, "password.left") == ["user deploy"]


def test_reconciliation_sees_what_the_phase_did_not_say(context):
    document = accounts.run(context)
    assert differing(context, document) == CONFLICTS, "what only an operator can decide is not explained away, all else is"
    root = context.system.root.decode()
    for kind, old, new, found in (
        ("passwd", "/home/anna:/bin/bash", "/home/eve:/bin/bash", ("user anna", "home")),
        ("shadow", fixture.MD5, fixture.MD5[:-1] + ".", ("user anna", "password")),
        ("shadow", "gina:!!", "gina:", ("user gina", "password")),
        ("shadow", ":90:7:14:14999:", ":90:7:14::", None),
        ("group", "staffer:x:1010:anna,bob", "staffer:x:1010:anna,bob,mail", ("group staffer", "member mail")),
        ("group", "staffer:x:1010:anna,bob", "staffer:x:1010:anna", ("group staffer", "member bob")),
        ("passwd", "vmail:x:5000:5000", "x:x:%d:1::/:/bin/sh\nvmail:x:5000:5000" % context.identity().uid(504), ("user x", "extra")),
        ("passwd", "frank:x:", "frank2:x:", ("user frank", "missing")),
    ):
        path = os.path.join(root, "etc", kind)
        good = fixture.read(path)
        assert old in good, old
        with open(path, "w", encoding="latin-1") as handle:
            handle.write(good.replace(old, new))
        more = [entry for entry in differing(context, document) if entry not in CONFLICTS]
        assert more == ([found] if found else []) or found in more, (old, more)
        with open(path, "w", encoding="latin-1") as handle:
            handle.write(good)
    text = json.dumps([_class_accounts.old(context), _class_accounts.new(context)])
    assert fixture.SHA not in text and fixture.DES not in text


def test_the_live_side_is_asked_through_libc(context):
    """In a mount namespace whose /etc has the new accounts: getent must say what the phase wrote."""
    if os.geteuid() or subprocess.run(["unshare", "-m", "true"], check=False, capture_output=True).returncode:
        pytest.skip("needs root and mount namespaces")
    document = accounts.run(context)
    root, script = context.system.root.decode(), os.path.join(os.path.dirname(__file__), "jobs_in_namespace.py")
    os.makedirs(root + "/spool")
    argv = ["unshare", "-m", "--propagation", "private", sys.executable, script, context.root, root, context.directory, "accounts"]
    done = subprocess.run(argv, check=False, capture_output=True, env=dict(os.environ, PYTHONPATH=__file__.split("/ansible_collections/", maxsplit=1)[0]))
    assert done.returncode == 0, done.stderr.decode()
    seen = json.loads(done.stdout)[0]
    assert seen["user anna"]["uid"] == context.identity().uid(500) and seen["group staffer"]["member bob"]
    assert sorted(seen) == sorted(_class_accounts.new(context)) and document["changed"]
    assert {s: {k: v for k, v in e.items() if k != "password"} for s, e in seen.items()} == {
        s: {k: v for k, v in e.items() if k != "password"} for s, e in _class_accounts.new(context).items()
    }


def test_sudoers_are_told_and_never_applied(context):
    fixture.write(context.root, {"/etc/sudoers": "Defaults env_reset\nroot ALL=(ALL) ALL\nanna ALL = NOPASSWD: /usr/bin/service\n%wheel ALL=(ALL) ALL\n"})
    document = accounts.run(context)
    assert [rule["rule"] for rule in document["sudoers"]] == ["%wheel ALL=(ALL) ALL", "anna ALL = NOPASSWD: /usr/bin/service"]
    assert said(document, "sudoers") == ["sudoers"] and not os.path.exists(context.system.root.decode() + "/etc/sudoers")


def test_without_gshadow_it_says_what_makes_one(context):
    os.unlink(context.system.root.decode() + "/etc/gshadow")
    with pytest.raises(IntactError, match="grpconv"):
        accounts.run(context)


def test_pwck_and_grpck_find_nothing_new(context):
    if not shutil.which("pwck"):
        pytest.skip("needs pwck")
    root = context.system.root.decode() + "/etc/"

    def complaints():
        out = set()
        for argv in (["pwck", "-r", root + "passwd", root + "shadow"], ["grpck", "-r", root + "group", root + "gshadow"]):
            out |= set(subprocess.run(argv, check=False, capture_output=True, text=True).stdout.splitlines())
        return {line for line in out if not line.endswith(("does not exist", "? No")) and ": no group " not in line and ": no user " not in line}

    before = complaints()
    accounts.run(context)
    assert complaints() - before == set()


@pytest.mark.parametrize(
    ("password", "what", "weak"),
    [
        (fixture.DES, "DES", True),
        (fixture.MD5, "MD5", True),
        (fixture.BIG, "BigCrypt", True),
        (fixture.SHA, "SHA-512", False),
        (fixture.BCRYPT, "bcrypt", False),
        ("$y$j9T$abc$def", "yescrypt", False),
        ("_J9..rasmBYk8r9AiWNc", "DES (BSDi's)", True),
        ("$3$$8846f7eaee8fb117ad06bdd830b7586c", "NT", True),
        ("$6$rounds=1000$salt$x", "SHA-512 with 1000 rounds", True),
        ("geheim", "no hash (plain text?)", True),
        ("", "empty", True),
        ("!!", "locked", False),
        ("*", "locked", False),
        ("!" + fixture.DES, "DES", True),
    ],
)
def test_kinds_of_hashes(password, what, weak):
    assert _accounts_weak.kind(password) == (what, weak)


def test_old_hashes_still_let_their_owners_in(context):
    """DES and MD5 of 2008, written by the phase, verified by the host's libcrypt with the old passwords."""
    try:
        crypt = ctypes.CDLL("libcrypt.so.1").crypt
    except OSError:
        pytest.skip("needs libcrypt.so.1")
    crypt.restype, crypt.argtypes = ctypes.c_char_p, [ctypes.c_char_p, ctypes.c_char_p]
    hashes = {"anna": crypt(b"secret1", b"$1$saltsalt").decode(), "bob": crypt(b"secret2", b"ab").decode(), "eve": crypt(b"secret3", b"$6$salt").decode()}
    text = fixture.OLD_SHADOW.replace("anna:" + fixture.MD5, "anna:" + hashes["anna"]).replace("bob:" + fixture.DES, "bob:" + hashes["bob"])
    fixture.write(context.root, {"/etc/shadow": (text.replace("eve:" + fixture.SHA, "eve:" + hashes["eve"]), 0o400)})
    accounts.run(context)
    for name, password in (("anna", b"secret1"), ("bob", b"secret2"), ("eve", b"secret3")):
        stored = etc(context, "shadow")[name][1].encode()
        assert crypt(password, stored) == stored and crypt(b"other", stored) != stored
        assert _accounts_weak.taken(stored.decode()) in (True, None)
    assert _accounts_weak.taken("$nonsense$x") in (False, None)
