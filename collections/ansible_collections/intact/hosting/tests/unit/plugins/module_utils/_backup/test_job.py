# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The job: what is refused, with the key's name, and what is filled in; secrets by file."""

from __future__ import annotations

import datetime
import os

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._backup import _job, _secrets
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

NOW = datetime.datetime(2026, 11, 22, tzinfo=datetime.timezone.utc)
VAULT = {"name": "vault", "url": "rest:https://vault.example.com:8000/web1/", "password_file": "/etc/intact/backup/vault.password"}
OFFSITE = {"name": "offsite", "url": "sftp:backup@offsite.example.com:/srv/web1", "password_file": "/etc/intact/backup/offsite.password", "append_only": False}
WAIVER = {"id": "backup.repositories.few", "subject": "web1", "reason": "the second vault is on its way", "who": "mira", "expires": "2026-12-01"}


def job(**more):
    return dict({"host": "web1", "repositories": [VAULT, OFFSITE]}, **more)


def test_defaults():
    full = _job.check(job(), NOW)
    assert full["classes"]["mail"]["enabled"] == "auto" and full["classes"]["mail"]["drop_percent"] == 30
    assert full["repositories"][0]["append_only"] and not full["repositories"][1]["append_only"]
    assert full["check"]["parts"] == 30 and full["limits"]["nice"] == 10 and full["min_repositories"] == 2
    assert _job.check(full, NOW) == full
    full["classes"]["mail"]["paths"].append("/x")
    assert _job.check(job(), NOW)["classes"]["mail"]["paths"] == []


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"hots": 1}, "job has the key hots"),
        ({"host": " "}, "job.host is empty"),
        ({"schema": 2}, "job.schema is 2"),
        ({"min_repositories": 1}, "job.min_repositories must be from 2 to 9"),
        ({"check": {"parts": 0}}, "job.check.parts"),
        ({"check": {"parts": True}}, "job.check.parts must be a int"),
        ({"limits": {"nice": 40}}, "job.limits.nice"),
        ({"classes": {"fles": {}}}, "job.classes has fles"),
        ({"classes": {"files": {"floors": {}}}}, "job.classes.files has the key floors"),
        ({"classes": {"files": {"mysql_defaults_file": "/x"}}}, "which nothing reads"),
        ({"classes": {"files": {"enabled": "yes"}}}, "enabled must be auto, true or false"),
        ({"classes": {"files": {"paths": ["srv"]}}}, "must be an absolute path"),
        ({"classes": {"files": {"exclude": [{"patterns": ["x"]}]}}}, "patterns and a reason"),
        ({"classes": {"files": {"floor": {"sites": "3"}}}}, "floor.sites must be a number"),
        ({"classes": {"files": {"drop_percent": 0}}}, "drop_percent must be from 1 to 100"),
        ({"classes": {"files": {"reread_days": -1}}}, "reread_days must be from 0"),
        ({"repositories": [dict(VAULT, name="Va ult"), OFFSITE]}, "must be of a-z"),
        ({"repositories": [{"name": "vault", "url": "/x"}, OFFSITE]}, "lacks password_file"),
        ({"repositories": [dict(VAULT, url="rest:https://u:geheim@vault/"), OFFSITE]}, "url holds a password"),
        ({"repositories": [dict(VAULT, url="rest:http://vault/"), OFFSITE]}, "without TLS"),
        ({"repositories": [dict(VAULT, url="vault/x"), OFFSITE]}, "none that restic reads"),
        ({"repositories": [dict(VAULT, password_file="pw"), OFFSITE]}, "absolute path on the host"),
        ({"repositories": [dict(VAULT, options=["s3.secret=geheim"]), OFFSITE]}, "no secrets: 's3.secret'"),
        ({"repositories": [VAULT, dict(VAULT, url="rest:https://other/")]}, "two repositories have the name vault"),
        ({"repositories": [VAULT]}, "2 independent repositories are asked for, and there is 1"),
        ({"repositories": [VAULT, dict(VAULT, name="two", url="sftp:b@vault.example.com:/x")]}, "there is 1"),
        ({"repositories": [VAULT, dict(VAULT, name="two", url="/mnt/backup")]}, "there is 1"),
        ({"repositories": [VAULT], "waivers": [dict(WAIVER, expires="2026-11-01")]}, "waiver by mira expired"),
        ({"repositories": [VAULT], "waivers": [dict(WAIVER, subject="web2")]}, "there is 1"),
        ({"repositories": [VAULT], "waivers": [{"id": "x"}]}, "waiver x lacks"),
        ({"repositories": None}, "lacks repositories"),
        ({"repositories": {}}, "must be a list"),
    ],
)
def test_what_is_wrong_is_named(change, words):
    with pytest.raises(IntactError) as error:
        _job.check(job(**change), NOW)
    assert words in str(error.value)
    assert "geheim" not in str(error.value)


def test_one_repository_with_a_waiver_that_holds():
    assert len(_job.check(job(repositories=[VAULT], waivers=[WAIVER]), NOW)["repositories"]) == 1


@pytest.mark.parametrize(
    ("url", "place"),
    [
        ("/srv/r", ("local", "this host")),
        ("local:/srv/r", ("local", "this host")),
        ("sftp:backup@Offsite:/r", ("sftp", "offsite")),
        ("sftp:offsite:/r", ("sftp", "offsite")),
        ("sftp://u@offsite:2222//r", ("sftp", "offsite")),
        ("rest:https://vault:8000/web1/", ("rest", "vault")),
        ("s3:https://s3.example.com/bucket", ("s3", "s3.example.com")),
        ("s3:s3.amazonaws.com/bucket", ("s3", "s3.amazonaws.com")),
        ("b2:bucket/x", ("b2", "bucket/x".split("/", maxsplit=1)[0])),
    ],
)
def test_places(url, place):
    assert _job.place(url) == place


def secret(tmp_path, text, mode=0o600, name="secret"):
    path = tmp_path / name
    path.write_bytes(text)
    os.chmod(path, mode)
    return str(path)


def test_secret_files_that_others_may_read_are_refused(tmp_path):
    assert _secrets.read_secret(secret(tmp_path, b"geheim\n"), "it") == b"geheim\n"
    for mode in (0o640, 0o604, 0o660):
        with pytest.raises(IntactError, match="can be read by others"):
            _secrets.read_secret(secret(tmp_path, b"geheim", mode), "it")
    with pytest.raises(IntactError, match="is empty"):
        _secrets.read_secret(secret(tmp_path, b" \n"), "it")
    with pytest.raises(IntactError, match="cannot be read"):
        _secrets.read_secret(str(tmp_path / "none"), "it")
    with pytest.raises(IntactError, match="no plain file"):
        _secrets.read_secret(str(tmp_path), "it")


def test_environment_files(tmp_path):
    text = b"# why\n\nAWS_ACCESS_KEY_ID=a=b\nAWS_SECRET_ACCESS_KEY='x y'\n"
    assert _secrets.parse_environment(text, "f") == {"AWS_ACCESS_KEY_ID": "a=b", "AWS_SECRET_ACCESS_KEY": "x y"}
    for line in (b"export A=geheim", b"geheim", b"a=geheim", b"LD_PRELOAD=geheim", b"RESTIC_PASSWORD=geheim", b"PATH=geheim"):
        with pytest.raises(IntactError) as error:
            _secrets.parse_environment(b"A=1\n" + line, "f")
        assert "geheim" not in str(error.value)


def test_rest_credentials_go_where_the_version_reads_them(tmp_path):
    repository = dict(VAULT, password_file=secret(tmp_path, b"haupt\n"))
    repository["environment_file"] = secret(tmp_path, b"RESTIC_REST_USERNAME=web1\nRESTIC_REST_PASSWORD=p@s/s\n", name="environment")
    values, url, secrets = _secrets.environment(repository, True)
    assert url == repository["url"] and values["RESTIC_REST_PASSWORD"] == "p@s/s"
    values, url, secrets = _secrets.environment(repository, False)
    assert url == "rest:https://web1:p%40s%2Fs@vault.example.com:8000/web1/"
    assert sorted(values) == ["RESTIC_PASSWORD_FILE"]
    assert _secrets.redact("haupt %s https://u:other@h/ p@s/s" % url, secrets) == "*** rest:https://web1:***@vault.example.com:8000/web1/ https://u:***@h/ ***"
