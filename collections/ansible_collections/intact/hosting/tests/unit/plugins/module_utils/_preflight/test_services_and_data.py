# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Databases, runtimes, configurations, configuration files, units, schedules and the baseline's completeness."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils import _flight
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import baseline, conffiles, configs, databases, runtimes, services
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._preflight import preflight_host as fake

CHECK = """shop.orders                                        OK
shop.sessions
note     : The storage engine for the table doesn't support check
shop.items
error    : Incorrect key file for table 'items'; try to repair it
error    : Corrupt
blog.posts
warning  : 1 client is using or hasn't closed the table properly
status   : OK
"""


def test_mariadb_check_is_read():
    assert [(t, k) for t, k, _m in databases.parse_check(CHECK)] == [("shop.items", "error"), ("shop.items", "error"), ("blog.posts", "warning")]


def mysql(rows="1\t0\t10.11\n", grants="GRANT ALL PRIVILEGES ON *.* TO root", plan=None, **more):
    def client(argv, _stdin):
        query = argv[-1]
        if "innodb_fast" in query:
            return rows
        if "GRANTS" in query:
            return grants
        return "INNODB_HISTORY_LIST_LENGTH\t%s\n" % more.get("history", 12) if "GLOBAL_STATUS" in query else "1\n"

    return fake.context({"mariadb": client, "mariadb-check": more.get("check", "")}, installed=fake.packages(mariadb_server="1:10.11"), plan=plan)


def test_a_whole_and_well_configured_server_is_silent():
    assert databases.integrity(mysql()) == [] and databases.shutdown(mysql()) == []


def test_corrupt_tables_block_by_name():
    found = databases.integrity(mysql(check=CHECK))
    assert {f.id for f in found if f.subject == "shop.items"} == {"databases.corrupt"}
    assert [f.severity for f in found if f.subject == "blog.posts"] == ["warning"]


@pytest.mark.parametrize(
    "error, word", [(IntactError("mariadb-check gave no answer within 600 s"), "600 s"), ((1, "", "Got error: 1045: Access denied"), "Access denied")]
)
def test_an_unfinished_check_is_never_silence(error, word):
    (finding,) = databases.integrity(mysql(check=error))
    assert (finding.id, finding.severity) == ("databases.unchecked", "blocker") and word in finding.evidence


@pytest.mark.parametrize(
    "more, ident",
    [
        ({"rows": "2\t0\t10.11\n"}, "databases.fast-shutdown"),
        ({"rows": "1\t3\t10.11\n"}, "databases.recovery"),
        ({"rows": "1\t0\t10.11\n1\t3\t0\tabc\n"}, "databases.prepared"),
        ({"rows": (1, "", "ERROR 2002 (HY000): Can't connect")}, "databases.down"),
        ({"grants": "GRANT SELECT ON *.* TO x"}, "databases.rights"),
        ({"history": 2000000}, "databases.purge"),
        ({"plan": {"stages": ["bind", "full"]}}, "databases.stop.unplanned"),
    ],
)
def test_what_stands_against_a_clean_shutdown(more, ident):
    assert [f.id for f in databases.shutdown(mysql(**more))] == [ident]


CLUSTERS = '[{"version": 15, "cluster": "main", "port": "5432", "running": %d, "socketdir": "/run/postgresql", "config": {"start": "auto"}}]'


def postgres(running, dump=(0, ""), extension="0"):
    def runuser(argv, _stdin):
        if any(part.endswith("pg_dump") for part in argv):
            return dump
        if any(part.endswith("pg_amcheck") for part in argv):
            return (2, 'heap table "shop.orders", block 0: bad\n', "")
        return extension if "pg_extension" in argv[-1] else "shop\0"

    files = {"/usr/lib/postgresql/15/bin/pg_amcheck": ""}
    return databases.integrity(fake.context({"pg_lsclusters": CLUSTERS % running, "runuser": runuser}, files))


def test_postgresql_is_read_whole():
    assert postgres(1) == []
    assert [(f.id, f.subject) for f in postgres(1, (1, "", "pg_dump: error: invalid page in block 3"))] == [("databases.corrupt", "PostgreSQL 15/main shop")]
    assert [f.id for f in postgres(1, extension="1")] == ["databases.corrupt"]
    assert [f.id for f in postgres(0)] == ["databases.down"]


@pytest.mark.parametrize(
    ("start", "status", "expected"), [("auto", "down", ["databases.down"]), ("# not by itself\nmanual", "down", ["databases.off"]), ("", "online", [])]
)
def test_clusters_where_json_is_not_to_be_had(start, status, expected):
    """Debian 11's pg_lsclusters has --json only with libjson-perl: PF36 could not be done there, and PF37 saw no cluster at all."""
    table = "15 main 5432 %s postgres /var/lib/postgresql/15/main /var/log/x\n" % status
    commands = {
        "pg_lsclusters --json": (1, "", "Error: Please install JSON.pm for JSON output"),
        "pg_lsclusters -h": table,
        "runuser": lambda argv, _stdin: (0, "") if any(part.endswith("pg_dump") for part in argv) else "0" if "pg_extension" in argv[-1] else "shop\0",
    }
    context = fake.context(commands, {"/etc/postgresql/15/main/start.conf": start + "\n", "/usr/lib/postgresql/15/bin/pg_amcheck": ""})
    assert [f.id for f in databases.integrity(context)] == expected


PHP = {
    "remove": ["php8.2-fpm", "php8.2-common", "php8.2-mysql", "php8.2-imap"],
    "install": [{"name": n, "to": "8.4"} for n in ("php8.4-fpm", "php8.4-common", "php8.4-mysql")],
}
INSTALLED = "".join("%s\t8.2\tii \n" % n for n in ("php8.2-fpm", "php8.2-common", "php8.2-mysql", "php8.2-imap"))


def test_a_lost_extension_an_uncarried_pool_and_what_asks_for_the_old_version():
    files = {
        "/etc/php/8.2/fpm/pool.d/a.conf": "[a]\nlisten = /run/php/a.sock\n",
        "/etc/nginx/sites-enabled/a": "fastcgi_pass unix:/run/php/a.sock;\n",
        "/etc/nginx/sites-enabled/b": "fastcgi_pass unix:/run/php/php8.2-fpm.sock;\n# fastcgi_pass unix:/run/php/php8.2-fpm.sock;\n",
        "/etc/cron.d/job": "0 1 * * * root /usr/bin/php8.2 /srv/x.php\n0 2 * * * root php /srv/y.php\n",
    }
    found = runtimes.runtimes(fake.context(files=files, installed=INSTALLED, plan=PHP))
    assert fake.ids(found) == [
        ("runtimes.php.extension", "blocker", "php8.2-imap"),
        ("runtimes.php.carried", "info", "/etc/php/8.2/fpm/pool.d/a.conf"),
        ("runtimes.php.site", "blocker", "/etc/nginx/sites-enabled/b"),
        ("runtimes.php.job", "blocker", "/etc/cron.d/job:1"),
    ]
    assert "php-imap" in found[0].remedy
    bare = dict(fake.PATH, carry=[])
    assert ("runtimes.php.pool", "blocker", "/etc/php/8.2/fpm/pool.d/a.conf") in fake.ids(
        runtimes.runtimes(fake.context(files=files, installed=INSTALLED, plan=PHP, release_path=bare))
    )


def test_a_php_that_stays_or_goes_altogether():
    assert runtimes.runtimes(fake.context(installed=INSTALLED, plan={})) == []
    (finding,) = runtimes.runtimes(fake.context(installed=INSTALLED, plan={"remove": PHP["remove"]}))
    assert finding.id == "runtimes.php.none"


def units(active="active", enabled="enabled"):
    return {"systemctl is-active": active, "systemctl is-enabled": enabled}


@pytest.mark.parametrize("active, enabled, severity", [("active", "enabled", "blocker"), ("inactive", "disabled", "warning")])
def test_a_configuration_that_is_broken_today(active, enabled, severity):
    said = '2026/11/22 nginx: [emerg] unknown directive "lissten" in /etc/nginx/nginx.conf:3\nnginx: configuration file /etc/nginx/nginx.conf test failed\n'
    context = fake.context(dict(units(active, enabled), nginx=(1, "", said)), installed=fake.packages(nginx="1.22"))
    (finding,) = configs.valid_now(context)
    assert (finding.id, finding.severity, finding.subject) == ("config.broken", severity, "nginx")
    assert "lissten" in finding.evidence and "nginx -t" in finding.remedy


def test_only_what_is_installed_is_asked_and_each_php_by_its_version():
    context = fake.context({"sshd": "", "php-fpm8.2": "", "/usr/sbin/sshd": ""}, installed="openssh-server\t1\tii \nphp8.2-fpm\t8\tii \n")
    assert [d.name for d in configs.daemons(context)] == ["sshd", "php-fpm 8.2"]
    assert configs.valid_now(context) == []


def conffile(path, **more):
    return dict({"path": path, "package": "p", "local": "edited", "target": "changed", "question": True}, **more)


def test_delicate_files_need_a_decision():
    plan = {"conffiles": [conffile("/etc/ssh/sshd_config"), conffile("/etc/crontab"), conffile("/etc/sudoers", question=False)]}
    found = conffiles.questions(fake.context(plan=plan))
    assert fake.ids(found) == [("conffiles.undecided", "blocker", "/etc/ssh/sshd_config"), ("conffiles.kept", "info", "/etc/crontab")]
    for options in ({"conffile_default": "keep"}, {"conffiles": [{"path": "/etc/*", "decision": "replace", "reason": "r"}]}):
        assert {f.severity for f in conffiles.questions(fake.context(plan=plan, options=options))} == {"info"}


def test_a_merge_without_the_file_blocks_and_with_it_does_not():
    plan = {"conffiles": [conffile("/etc/dovecot/dovecot.conf")]}
    options = {"conffiles": [{"path": "/etc/dovecot/*", "decision": "merge", "reason": "r"}]}
    assert fake.ids(conffiles.questions(fake.context(plan=plan, options=options)))[0][0] == "conffiles.merge.missing"
    options = {"target_files": "/priv/target"}
    context = fake.context({"find": "/priv/target/etc/dovecot/dovecot.conf\0"}, {"/priv/target/etc/dovecot/dovecot.conf": ""}, plan=plan, options=options)
    assert fake.ids(conffiles.questions(context)) == [("conffiles.decided", "info", "/etc/dovecot/dovecot.conf")]


def test_failed_units_and_their_acceptance():
    commands = {
        "systemctl list-units": "a.service loaded failed failed A\nb.service loaded failed failed B\n",
        "systemctl show": "Result=exit-code\nExecMainStatus=1\n",
    }
    found = services.failed(fake.context(commands, options={"accepted_units": [{"unit": "b.*", "reason": "known"}]}))
    assert fake.ids(found) == [("services.failed", "blocker", "a.service"), ("services.failed.accepted", "info", "b.service")]
    assert "journalctl -u a.service" in found[0].remedy


def test_what_would_start_package_work():
    files = {
        "/etc/cron.d/up": "0 4 * * * root apt-get -y upgrade\n#0 4 * * * root apt-get\n0 5 * * * root /srv/adapt-images\n",
        "/etc/apt/apt.conf.d/99x": 'DPkg::Post-Invoke { "x"; };\n',
        "/etc/apt/apt.conf.d/20listchanges": 'DPkg::Pre-Install-Pkgs { "x"; };\n',
    }
    context = fake.context({"systemctl is-active": "active"}, files)
    found = fake.ids(services.quiet(context))
    assert ("schedule.cron", "warning", "/etc/cron.d/up:1") in found and ("schedule.hook", "warning", "/etc/apt/apt.conf.d/99x") in found
    assert [f for f in found if f[0] == "schedule.cron"] == [("schedule.cron", "warning", "/etc/cron.d/up:1")]
    quiet = services.quiet(fake.context({"systemctl is-active": "active"}, plan={"stages": ["quiesce"]}))
    assert {f.severity for f in quiet} == {"info"}


def document(**sections):
    return {"host": "web1", "boot": _flight.boot_id(), "taken": _flight.now(), "sections": sections}


def complete(doc, **options):
    return fake.ids(baseline.complete(fake.context(files={"/proc/sys/kernel/hostname": "web1"}, baseline=doc, options=options)))


def test_the_baselines_completeness():
    assert complete(document(mounts={"status": "ok"}, tls={"status": "absent"})) == []
    assert complete({}) == [("baseline.missing", "blocker", "baseline")]
    assert complete(document(mounts={"status": "failed", "reason": "r"})) == [("baseline.section.unread", "blocker", "mounts")]
    assert complete(document(mounts={"status": "off"})) == [("baseline.section.off", "warning", "mounts")]
    assert complete(document(files={"status": "partial", "unlooked": [{"what": "/home/x", "why": "limit"}]})) == [
        ("baseline.unlooked", "warning", "files: /home/x")
    ]
    assert complete(dict(document(mounts={"status": "ok"}), host="web2")) == [("baseline.foreign", "blocker", "baseline")]
    assert complete(dict(document(mounts={"status": "ok"}), boot="other")) == [("baseline.old", "blocker", "baseline")]
    assert complete(dict(document(mounts={"status": "ok"}), taken="2020-01-01T00:00:00Z")) == [("baseline.old", "blocker", "baseline")]
