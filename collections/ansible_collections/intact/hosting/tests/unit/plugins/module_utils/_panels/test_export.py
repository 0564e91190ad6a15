# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Exports on the disk: private, whole or not there, encrypted, and removed only behind a proven one."""

from __future__ import annotations

import datetime
import json
import os
import shutil
import stat

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _proofs
from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _crypt, _export, _streams
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels import export_fixture as made

FILES = {"backup.tar": b"<users password='hunter2'/>" * 50, "secret_key": b"0123456789abcdef"}
gpg = pytest.mark.skipif(not shutil.which("gpg"), reason="gpg is not installed: exports are not encrypted here")


def modes(directory):
    return {oct(stat.S_IMODE(os.lstat(os.path.join(path, name)).st_mode)) for path, folders, files in os.walk(directory) for name in files}


def everything(directory):
    return b"".join(open(os.path.join(path, name), "rb").read() for path, _folders, files in os.walk(directory) for name in files)


def day(number):
    return datetime.datetime(2026, 11, number, 3, 0, tzinfo=datetime.timezone.utc)


def test_an_export_is_private_and_its_document_tells_each_file(tmp_path):
    path = made.export(tmp_path, FILES, said=["done", "password: hunter2", "to ftp://joe:hunter2@far/"], moment=day(22))
    assert path == str(tmp_path / "plesk" / "20261122t030000z-settings") and modes(path) == {"0o600"}
    assert [stat.S_IMODE(os.stat(p).st_mode) for p in (tmp_path, tmp_path / "plesk", path)] == [0o700] * 3
    document = _export.read(path)
    assert {e["name"]: e["bytes"] for e in document["files"] if e["role"] != "inventory"} == {name: len(data) for name, data in FILES.items()}
    assert document["objects"] == {"domain": 1, "mailbox": 1} and document["said"] == ["done", "password: ***", "to ftp://joe:***@far/"]
    assert _export.check(path, document) == [] and sorted(os.listdir(tmp_path / "plesk")) == [".lock", os.path.basename(path)]


@gpg
def test_an_encrypted_export_holds_nothing_in_the_clear(tmp_path):
    secret = made.passphrase(tmp_path)
    path = made.export(tmp_path / "panel", FILES, secret=secret)
    assert sorted(os.listdir(path)) == ["backup.tar.gpg", "export.json", "inventory.json.gz.gpg", "secret_key.gpg"]
    assert b"hunter2" not in everything(tmp_path / "panel") and b"0123456789abcdef" not in everything(tmp_path / "panel")
    with _crypt.decrypted(os.path.join(path, "secret_key.gpg"), secret) as source:
        assert source.read(100) == b"0123456789abcdef" and source.read() == b""


@gpg
@pytest.mark.parametrize("text", [b"$ANSIBLE_VAULT;1.1;AES256\n62313365396662343061\n", b" \ncorrect horse\n", b"a\0b\n"])
def test_nothing_is_encrypted_with_a_file_whose_first_line_is_no_passphrase(tmp_path, text):
    """The first line of a vault is the same everywhere: everybody knows that passphrase."""
    secret = tmp_path / "passphrase"
    secret.write_bytes(text)
    secret.chmod(0o600)
    for work in (lambda: _crypt.encrypt(b"x", str(tmp_path / "x.gpg"), str(secret)), lambda: _crypt.check(str(secret), making=True)):
        with pytest.raises(IntactError, match="first line"):
            work()
    assert not (tmp_path / "x.gpg").exists()
    _crypt.check(str(secret))  # what was encrypted with it once can still be read
    secret.write_bytes(b"correct horse\r\nof web1\n")
    _crypt.check(str(secret), making=True)


@gpg
def test_what_gpg_finds_wrong_is_broken_at_the_end(tmp_path):
    secret = made.passphrase(tmp_path)
    target = str(tmp_path / "x.gpg")
    _crypt.encrypt(os.urandom(300000), target, secret)

    def read(passphrase_file):
        with _crypt.decrypted(target, passphrase_file) as source:
            while source.read():
                pass

    read(secret)
    (tmp_path / "other").mkdir()
    with pytest.raises(_streams.Broken, match="Bad session key"):
        read(made.passphrase(tmp_path / "other", "wrong"))
    with open(target, "r+b") as handle:
        handle.seek(200000)
        byte = handle.read(1)
        handle.seek(200000)
        handle.write(bytes([byte[0] ^ 1]))
    with pytest.raises(_streams.Broken, match="can't be decrypted"):
        read(secret)


@gpg
def test_a_passphrase_that_others_can_read_is_refused_and_nothing_is_written(tmp_path):
    secret = made.passphrase(tmp_path)
    os.chmod(secret, 0o644)
    with pytest.raises(IntactError, match="can be read by others"):
        made.export(tmp_path / "panel", FILES, secret=secret)
    assert os.listdir(tmp_path / "panel" / "plesk") == [".lock"]


def test_one_export_at_a_time_and_what_a_killed_one_left_goes(tmp_path):
    work = _export.begin("plesk", "settings", str(tmp_path))
    with pytest.raises(IntactError, match="being exported"):
        _export.begin("plesk", "full", str(tmp_path))
    os.close(work.lock)  # as a killed process
    (tmp_path / "plesk" / ".open-4194305-ab").mkdir()
    with _export.begin("plesk", "settings", str(tmp_path)) as second:
        assert sorted(os.listdir(tmp_path / "plesk")) == [".%s.part" % second.ident, ".lock"]
    assert os.listdir(tmp_path / "plesk") == [".lock"]


def test_files_that_the_driver_did_not_name_or_did_not_write(tmp_path):
    with _export.begin("plesk", "settings", str(tmp_path)) as work:
        os.mkdir(os.path.join(work.target, "more"))
        open(os.path.join(work.target, "more", "volume.tgz"), "wb").close()
        document = _export.store(work, {"files": [{"name": "gone.tar", "role": "artefact"}]}, made.inventory(), made.FACTS)
        path = _export.seal(work, document)
    assert {e["name"] for e in document["files"]} == {"gone.tar", "more/volume.tgz", "inventory.json.gz"}
    (finding,) = _export.check(path, document)
    assert (finding.id, finding.subject) == ("panel.export.failed", "plesk file gone.tar")
    with _export.begin("plesk", "settings", str(tmp_path)) as work:
        os.symlink("/etc/shadow", os.path.join(work.target, "backup.tar"))
        with pytest.raises(IntactError, match="neither a file"):
            _export.store(work, {"files": []}, made.inventory(), made.FACTS)


@pytest.mark.parametrize(
    "damage, ident",
    [
        (lambda data: data[:-1], "panel.export.truncated"),
        (lambda data: b"", "panel.export.truncated"),
        (lambda data: bytes([data[0] ^ 1]) + data[1:], "panel.export.corrupt"),
        (lambda data: data + b"x", "panel.export.corrupt"),
        (None, "panel.export.member"),
    ],
)
def test_each_damage_of_a_stored_file_is_named(tmp_path, damage, ident):
    path = made.export(tmp_path, FILES)
    victim = os.path.join(path, "backup.tar")
    data = FILES["backup.tar"]
    if damage:
        with open(victim, "wb") as handle:
            handle.write(damage(data))
    else:
        os.unlink(victim)
    (finding,) = _export.check(path, _export.read(path))
    assert (finding.id, finding.subject, finding.severity) == (ident, "plesk file backup.tar", "blocker") and finding.remedy


def test_a_stranger_among_the_files_is_told(tmp_path):
    path = made.export(tmp_path, FILES)
    open(os.path.join(path, "notes.txt"), "w").close()
    (finding,) = _export.check(path, _export.read(path))
    assert (finding.id, finding.severity, finding.subject) == ("panel.export.member", "warning", "plesk file notes.txt")


def test_a_document_that_was_changed_or_is_damaged_is_refused(tmp_path):
    path = made.export(tmp_path, FILES, verdict="unproven")
    document = _export.read(path)
    (tmp_path / "plesk" / os.path.basename(path) / "export.json").write_text(json.dumps(dict(document, verdict="proven")))
    with pytest.raises(IntactError, match="changed after"):
        _export.read(path)
    with open(os.path.join(path, "export.json"), "w") as handle:
        handle.write(json.dumps(document)[:-20])
    with pytest.raises(IntactError, match="can't be read"):
        _export.read(path)
    held = _export.held(str(tmp_path))
    assert [(h.verdict, bool(h.why)) for h in held] == [("failed", True)]


def test_a_document_does_not_lead_out_of_its_directory(tmp_path):
    path = made.export(tmp_path, FILES)
    document = _export.read(path)
    document["files"][0]["stored"]["name"] = "../../../../etc/passwd"
    document["digest"] = _proofs.digest(document)
    assert "panel.export.member" in [f.id for f in _export.check(path, document)]


def test_a_failed_export_stays_for_a_person_and_only_the_newest(tmp_path):
    first = made.export(tmp_path, FILES, verdict="failed", moment=day(1))
    second = made.export(tmp_path, FILES, verdict="failed", moment=day(2))
    assert second.endswith(".failed") and not os.path.exists(first) and _export.held(str(tmp_path)) == []
    made.export(tmp_path, FILES, moment=day(3))
    assert os.path.exists(second) and len(_export.held(str(tmp_path))) == 1


def test_exports_of_a_mounted_disk_are_found(tmp_path):
    root = tmp_path / "var/lib/intact/panel"
    root.mkdir(parents=True)
    made.export(root, FILES, moment=day(5))
    (held,) = _export.held(view=Rooted(os.fsencode(str(tmp_path))))
    assert held.verdict == "proven" and held.panel == "plesk" and _export.age(held.document, day(6)) == 24


def test_two_that_fail_in_one_second_get_names_of_their_own(tmp_path):
    first = made.export(tmp_path, FILES, verdict="failed", moment=day(1))
    second = made.export(tmp_path, FILES, verdict="failed", moment=day(1))
    assert second.endswith("20261101t030001z-settings.failed") and not os.path.exists(first)


@pytest.mark.parametrize(
    "line",
    [
        "SECRET_KEY = 'hunter2'",
        "redis://:hunter2@localhost:6379/0",
        "postgres://joe:p@ss/hunter2@host/db",
        'password: "my hunter2, and more"',
        "password='a;hunter2'",
        '"password": "a\\"hunter2"',
        "doveadm --password hunter2 --user ann",
        "ERROR 1064 near: CREATE USER x IDENTIFIED WITH ed25519 BY 'hunter2'",
        "db_passwd => hunter2",
        "Authorization: Basic hunter2",
        '<password type="plain">hunter2</password>',
        "Password for ann is: hunter2",
        "password: 'cut off in hunter2",
    ],
)
def test_a_secret_is_unreadable_in_whatever_form_a_panel_says_it(line):
    assert "hunter2" not in _export.redacted([line])[0] and "***" in _export.redacted([line])[0]


def test_what_is_no_secret_stays_readable():
    for line in ("GET http://web1:8080/x?mail=ann@example.com", "no pass of 3 was made", "mail to ann@example.com: ok", "ssh://web1 and bob@example.com"):
        assert _export.redacted([line]) == [line]
