# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Modoboa, from the rows and the CSV of a real 2.12.0: the quotes that its export puts into cells are told by name, and every other damage is red."""

from __future__ import annotations

import contextlib
import json
import os
import tarfile

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._panels import _inventory, _modoboa_config, _modoboa_csv, _modoboa_proof, _registry, modoboa
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.sqlpanels_fixture import SECRETS, Exported, database, host, recorded, sql
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._panels.test_mailman import without

ROOT = "/srv/modoboa/instance"
DATABASE = "/srv/modoboa/modoboa.db"
KEY = "6!9z-PLANTED-secret-key"
SETTINGS = """
import os
import environ
env = environ.Env()
SECRET_KEY = '%s'
INSTALLED_APPS = ('modoboa', 'modoboa.core')
DATABASES = {

    'default': {
        'ENGINE': 'django.db.backends.%s',
        'NAME': '%s',
        'USER': 'm',
        'PASSWORD': 'PLANTED-db',
        'HOST': '%s',
        'PORT': '',
        'ATOMIC_REQUESTS': True,
    },
}
"""
FILES = {
    ROOT + "/manage.py": "os.environ.setdefault('DJANGO_SETTINGS_MODULE', 'instance.settings')\n",
    ROOT + "/instance/settings.py": SETTINGS % (KEY, "sqlite3", DATABASE, ""),
    ROOT + "/instance/__pycache__/settings.cpython-311.pyc": b"PLANTED",
    ROOT + "/.env": 'OIDC_RSA_PRIVATE_KEY="-----BEGIN RSA PRIVATE KEY-----\nPLANTED\n-----END RSA PRIVATE KEY-----"\n',
    ROOT + "/frontend/config.json": "{}",
    "/srv/modoboa/env/bin/python": "",
    "/srv/modoboa/env/lib/python3.11/site-packages/modoboa-2.12.0.dist-info/METADATA": "",
    "/srv/modoboa/dkim/lists.test.pem": "PLANTED signing key",
}
DOMAINS, IDENTITIES = recorded("modoboa-2.12.0-domains.csv"), recorded("modoboa-2.12.0-identities.csv")
CATCH_ALL = ("panel.object.changed", "modoboa mail_alias @catch.test")
ALTERED = sorted(
    ("panel.object.changed", "modoboa " + name)
    for name in ("mail_alias @catch.test", "customer bob@lists.test", "customer chef@catch.test", "domain relay.test")
)


def panel(root, *statements, said=None, **files):
    database(root, DATABASE, "modoboa-2.12.0.sql", *statements)
    answers = {("export", "domains"): DOMAINS, ("export", "identities"): IDENTITIES}
    return host(root, dict(FILES, **files), said={**answers, **(said or {})})


def exported(tmp_path, change=None, *statements, **more):
    return Exported(tmp_path, modoboa, panel(tmp_path / "host", *statements, **more), change)


def test_detected_by_files(tmp_path):
    found = modoboa.detect(panel(tmp_path))
    assert (found["version"], found["root"], found["python"]) == ("2.12.0", ROOT, "/srv/modoboa/env/bin/python")
    assert found["database"] == {"engine": "sqlite", "name": DATABASE, "port": ""} and "PLANTED" not in json.dumps(found)
    assert modoboa in _registry.DRIVERS and modoboa.detect(host(tmp_path / "bare", {"/srv/shop/manage.py": "shop.settings"})) is None


@pytest.mark.parametrize(
    ("path", "text"),
    [
        ("/etc/cron.d/modoboa", "PYTHON=/data/other/bin/python\nINSTANCE=/data/m/instance\n"),
        ("/etc/uwsgi/apps-enabled/modoboa_instance.ini", "[uwsgi]\nuid = modoboa\nhome = /data/other\nchdir = /data/m/instance\n"),
        ("/etc/supervisor/conf.d/modoboa.conf", "command=/data/other/bin/python /data/m/instance/manage.py rqworker\n"),
        ("/etc/systemd/system/modoboa-web.service", "[Service]\nExecStart=/data/other/bin/python3.11 /data/m/instance/manage.py runserver\n"),
    ],
)
def test_an_instance_elsewhere_is_found_by_what_runs_it(path, text, tmp_path):
    moved = {place.replace("/srv/modoboa/env", "/data/other").replace("/srv/modoboa", "/data/m"): data for place, data in FILES.items()}
    moved["/data/other/bin/python3.11"] = ""
    assert modoboa.detect(host(tmp_path / "a", moved)) is None
    # a file that has nothing to do with it names another program
    system = host(tmp_path / "b", dict(moved, **{path: text, "/etc/cron.d/shop": "PYTHON=/usr/bin/false\nINSTANCE=/data/shop\n"}))
    found = modoboa.detect(system)
    assert (found["root"], found["version"]) == ("/data/m/instance", "2.12.0") and found["python"].startswith("/data/other/bin/python")


@pytest.mark.parametrize(
    ("engine", "name", "at", "wanted"),
    [
        ("postgresql_psycopg2", "modoboa", "localhost", {"engine": "postgresql", "name": "modoboa", "port": ""}),
        ("mysql", "modoboa", "127.0.0.1", {"engine": "mysql", "name": "modoboa", "port": ""}),
        ("mysql", "modoboa", "db.example.com", "its own host"),
        ("oracle", "modoboa", "", "not known here"),
    ],
)
def test_place_of_the_database_is_read_and_the_settings_are_never_run(engine, name, at, wanted):
    text = SETTINGS % (KEY, engine, name, at) + "\nraise SystemExit('it was run')\n"
    if isinstance(wanted, dict):
        assert _modoboa_config.database(text) == wanted
    else:
        with pytest.raises(IntactError, match=wanted):
            _modoboa_config.database(text)


def test_settings_that_compute_the_database_are_refused_with_the_way_out():
    with pytest.raises(IntactError, match="write it into DATABASES"):
        _modoboa_config.database("DATABASES = {'default': env.db()}\n")
    assert _modoboa_config.secret_key("SECRET_KEY = env('X')\n") == "" and _modoboa_config.secret_key(SETTINGS) == "%s"


def test_another_secret_key_is_put_into_the_settings_and_nothing_else_changes():
    text = SETTINGS % (KEY, "sqlite3", DATABASE, "")
    changed = _modoboa_config.with_secret_key(text, "it's \\ new")
    assert _modoboa_config.secret_key(changed) == "it's \\ new"
    assert [a for a, b in zip(text.splitlines(), changed.splitlines()) if a != b] == ["SECRET_KEY = '%s'" % KEY]


def test_environment_with_a_key_over_several_lines():
    told = _modoboa_config.environment(FILES[ROOT + "/.env"] + "A=1\nexport B='two'\n# C=3\n")
    assert told["A"] == "1" and told["B"] == "two" and "C" not in told and told["OIDC_RSA_PRIVATE_KEY"].count("\n") == 2


def test_inventory_tells_domains_users_aliases_the_catch_all_and_what_no_csv_has(tmp_path):
    system = panel(tmp_path)
    told = modoboa.inventory(system, modoboa.detect(system))["objects"]
    assert told["mail_alias"]["@catch.test"]["to"] == ["chef@catch.test"]
    assert told["customer"]["bob@lists.test"]["first_name"] == "=Eq" and told["customer"]["chef@catch.test"]["role"] == "DomainAdmins"
    assert told["customer"]["chef@catch.test"]["domains"] == ["catch.test", "lists.test"]
    assert told["domain"]["relay.test"]["type"] == "relaydomain" and "mx.example.net" in told["domain"]["relay.test"]["transport"]
    assert told["mailbox"]["ann@lists.test"]["senders"] == ["office@example.net"] and "Bin weg; bis Montag" in told["mailbox"]["ann@lists.test"]["autoreply"]
    assert told["certificate"]["signing key /srv/modoboa/dkim/lists.test.pem"]["bytes"] == 19
    assert told["setting"]["parameters of core"]["ldap_bind_password"].startswith("sha256:")
    assert told["setting"]["parameters of admin"]["default_domain_quota"] == "42"
    assert told["setting"]["SECRET_KEY"]["value"].startswith("sha256:")
    assert not [secret for secret in SECRETS if secret in json.dumps(told)]


def test_the_known_corruption_is_caught_named_and_worked_around(tmp_path):
    got = exported(tmp_path)
    assert (got.told(), got.told("warning"), got.verdict) == ([], ALTERED, "proven")
    told = next(f for f in got.findings if f.subject == CATCH_ALL[1])
    assert "'@catch.test" in told.evidence and "what a restore takes" in told.remedy and told.details["attributes"] == ["address"]
    # a name that has a quote of its own is not taken for one of these
    assert "plain@catch.test" not in got.text()
    assert not [secret for secret in SECRETS if secret in got.text() + json.dumps(got.opened.document)]


def test_an_older_modoboa_that_does_not_quote_has_nothing_to_be_told(tmp_path):
    plain = IDENTITIES.replace(b";'=", b";=").replace(b";'-", b";-").replace(b";'+", b";+").replace(b";'@", b";@")
    got = exported(tmp_path, said={("export", "identities"): plain})
    assert got.told("warning") == [("panel.object.changed", "modoboa domain relay.test")] and got.verdict == "proven"


def test_the_keys_belong_to_the_export_and_compiled_settings_do_not(tmp_path):
    got = exported(tmp_path)
    assert modoboa.keys(panel(tmp_path / "b"), got.found) == [ROOT + "/instance/settings.py", ROOT + "/.env", "/srv/modoboa/dkim/lists.test.pem"]
    with tarfile.open(got.opened.files["keys.tar"]) as archive:
        assert {name for name in archive.getnames() if not archive.getmember(name).isdir()} == {
            "srv/modoboa/instance/instance/settings.py",
            "srv/modoboa/instance/.env",
            "srv/modoboa/dkim/lists.test.pem",
        }
    with tarfile.open(got.opened.files["instance.tar"]) as archive:
        assert not [name for name in archive.getnames() if "pyc" in name or name.endswith(".env")]
    assert [entry["role"] for entry in got.opened.document["files"] if entry["name"] == "keys.tar"] == ["key"]


def said(name, data):
    return lambda t: (t / name).write_bytes(data)


def line(data, old, new):
    assert old in data
    return data.replace(old, new)


COPY = "modoboa.db"


def rows(*statements):
    return lambda t: sql(t / COPY, *statements)


# what is done to the export, what is told of it, and about what
# besides the cells of the matrix (rows)
DAMAGE = {
    "copy not there": (lambda t: (t / COPY).unlink(), "export.member", "file " + COPY),
    "a name altered": (rows("UPDATE core_user SET first_name = '''=Eq' WHERE username = 'bob@lists.test'"), "object.changed", "customer bob@lists.test"),
    "no recipient": (rows("DELETE FROM modoboa_admin_aliasrecipient WHERE address LIKE 'extern%'"), "object.changed", "mail_alias sales@lists.test"),
    "no relay domain": (rows("UPDATE admin_domain SET type = 'domain' WHERE name = 'relay.test'"), "object.changed", "domain relay.test"),
    "an admin's rights": (rows("DELETE FROM core_user_groups"), "object.changed", "customer chef@catch.test"),
    "CSV cut between lines": (said("identities.csv", IDENTITIES[: IDENTITIES.rindex(b"alias;sales")]), "object.missing", "mail_alias sales@lists.test"),
    "CSV lacks a domain": (said("domains.csv", line(DOMAINS, b"domain;off.test;0;0;False\r\n", b"")), "object.missing", "domain off.test"),
    "CSV has another recipient": (said("identities.csv", line(IDENTITIES, b"extern@", b"eve@")), "object.changed", "mail_alias sales@lists.test"),
    "CSV has another hash": (said("identities.csv", line(IDENTITIES, b"70000$Cz6", b"70000$CCC")), "object.changed", "customer ann@lists.test"),
    "CSV is something else": (said("domains.csv", b"<html>502</html>\n"), "export.corrupt", "file domains.csv"),
    "a CSV not there": (lambda t: (t / "domains.csv").unlink(), "export.member", "file domains.csv"),
    "keys not there": (lambda t: (t / "keys.tar").unlink(), "export.member", "file keys.tar"),
    "no signing key": (lambda t: without(t / "keys.tar", "srv/modoboa/dkim/lists.test.pem"), "key.missing", "domain lists.test"),
    "no .env": (lambda t: without(t / "keys.tar", "srv/modoboa/instance/.env"), "object.missing", "setting .env"),
}


@pytest.mark.parametrize("what", sorted(DAMAGE))
def test_every_damage_is_told_with_the_name_of_what_it_hit(what, tmp_path):
    change, ident, subject = DAMAGE[what]
    got = exported(tmp_path, change)
    assert ("panel." + ident, "modoboa " + subject) in got.told() and got.verdict == "failed"
    assert not [secret for secret in SECRETS if secret in got.text()]


def test_a_program_that_fails_leaves_its_status_and_one_line_and_no_traceback(tmp_path):
    failed = (1, b"", b"Traceback\n  password = 'PLANTED'\nredis.exceptions.ConnectionError: Error 111 connecting to localhost:6379")
    got = exported(tmp_path, said={("export", "identities"): failed})
    assert got.made["rc"] == 1 and ("panel.export.truncated", "modoboa file identities.csv") in got.told() and "PLANTED" not in got.text()


def test_from_a_disk_the_rows_are_proven_and_what_is_not_in_it_is_said(tmp_path):
    class Disk:
        """The driver as rescue uses it."""

        def __getattr__(self, name):
            return getattr(modoboa, name)

        @staticmethod
        def export(system, found, mode, target, say):
            return modoboa.rescue(system, found, None, target, mode)

    got = Exported(tmp_path, Disk(), panel(tmp_path / "host"))
    assert (got.told(), got.verdict) == ([], "proven") and ("panel.export.member", "modoboa file identities.csv") in got.told("warning")


@pytest.fixture
def alone(monkeypatch):
    """The program: it deploys an instance with an empty database, and tells CSV."""

    @contextlib.contextmanager
    def place(directory, user):
        os.makedirs(directory)
        yield directory

    def install(identities=IDENTITIES, deploys=True, rc=0):
        ran = []

        def run(system, user, asked, cwd, env=None, redis=False, timeout=1800):
            assert redis
            ran.extend(asked)
            if "deploy" in asked[0]:
                if deploys:
                    os.makedirs(os.path.join(cwd, "instance", "instance"))
                    with open(os.path.join(cwd, "instance", "instance", "settings.py"), "w") as handle:
                        handle.write(SETTINGS % ("fresh", "sqlite3", "x", ""))
                    sql(os.path.join(cwd, "scratch.db"), "CREATE TABLE fresh (id)")
                return [{"rc": 0, "out": "", "err": "redis: connection refused"}]
            with open(os.path.join(cwd, "instance", "instance", "settings.py")) as handle:
                assert _modoboa_config.secret_key(handle.read()) == KEY
            told = [{"rc": 0, "out": out.decode().replace("\r\n", "\n"), "err": ""} for out in (b"", b"", DOMAINS, identities)]
            return [{"rc": rc, "out": "", "err": "django.db.utils.DatabaseError: malformed"}] if rc else told

        monkeypatch.setattr(_modoboa_proof._alone, "run", run)
        return ran

    monkeypatch.setattr(_modoboa_proof._alone, "place", place)
    monkeypatch.setattr(_modoboa_proof.shutil, "chown", lambda *_words: None)
    return install


def test_scratch_is_a_second_instance_with_the_exports_rows_and_key(tmp_path, alone):
    got, ran = exported(tmp_path), alone()
    seen = modoboa.scratch(panel(tmp_path / "b"), got.found, got.opened, str(tmp_path / "s"))
    assert _inventory.compare(got.inventory, seen) == [] and [words[-1] for words in ran[1:]] == ["--noinput", "check", "domains", "identities"]
    assert not [secret for secret in SECRETS if secret in str(ran)] and KEY not in str(ran)


@pytest.mark.parametrize(
    ("how", "words"),
    [
        ({"deploys": False}, "could not deploy a second instance: redis: connection refused"),
        ({"rc": 1}, "can't open the copy: .*malformed"),
        ({"identities": IDENTITIES.replace(b"alias;off", b"alias;of")}, "exports alias .* otherwise"),
    ],
)
def test_scratch_does_not_trust_the_programs_exit_status(how, words, tmp_path, alone):
    got = exported(tmp_path)
    alone(**how)
    with pytest.raises(IntactError, match=words):
        modoboa.scratch(panel(tmp_path / "b"), got.found, got.opened, str(tmp_path / "s"))


def test_an_export_that_does_not_fit_the_host_is_refused_before_anything_is_touched(tmp_path):
    got = exported(tmp_path)
    site = "/srv/modoboa/env/lib/python3.11/site-packages/modoboa-%s.dist-info/METADATA"
    older = {path: text for path, text in FILES.items() if "dist-info" not in path}
    database(tmp_path / "b", DATABASE, "modoboa-2.12.0.sql")
    system = host(tmp_path / "b", dict(older, **{site % "2.9.1": ""}))
    with pytest.raises(IntactError, match=r"the export is Modoboa 2\.12\.0, and here is 2\.9\.1"):
        modoboa.restore(system, modoboa.detect(system), got.opened, got.lines.append)
    assert got.lines[-1] == "Modoboa exported identities"


def test_rows_of_a_csv_are_pairs_whatever_the_order_of_recipients():
    pairs = _modoboa_csv._pairs("alias", ["alias", "a@b", "True", "+x@b", "y@b", "z@b"], ["alias", "a@b", "True", "z@b", "'+x@b", "e@b"])
    assert pairs[3:] == [("recipients", "+x@b", "'+x@b"), ("recipients", "y@b", None), ("recipients", "z@b", "z@b"), ("recipients", None, "e@b")]


def test_rows_that_refer_to_nothing_are_told_once_more_than_what_they_change(tmp_path):
    got = exported(tmp_path, None, "UPDATE admin_senderaddress SET mailbox_id = 999")
    assert (got.told(), got.verdict) == ([], "proven") and ("panel.reference.broken", "modoboa database modoboa.db") in got.told("warning")
