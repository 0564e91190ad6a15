# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Who gets in by the target's sshd, database engines, panels and their jobs, debconf's questions; and what the shipped release paths say of all this."""

from __future__ import annotations

import base64
import glob
import json
import os
import shutil
import struct
import subprocess

import pytest
import yaml

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._preflight import _registry, _targetroot, engines, panels, sshd
from ansible_collections.intact.hosting.plugins.module_utils._preflight._context import Context
from ansible_collections.intact.hosting.plugins.module_utils._preflight._system import Host
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._preflight import preflight_host as fake


def blob(kind, bits=0):
    parts = [kind.encode()] + ([b"\1\0\1", (1 << (bits - 1)).to_bytes(bits // 8 + 1, "big")] if bits else [b"x" * 32])
    return "%s %s who@where" % (kind, base64.b64encode(b"".join(struct.pack(">I", len(p)) + p for p in parts)).decode())


DSA, RSA, SMALL, ED = blob("ssh-dss"), blob("ssh-rsa", 3072), blob("ssh-rsa", 768), blob("ssh-ed25519")
ALL = "ssh-ed25519,rsa-sha2-512,rsa-sha2-256"
EFFECTIVE = """port 22
permitrootlogin without-password
pubkeyauthentication yes
passwordauthentication no
maxauthtries 6
requiredrsasize 1024
authorizedkeysfile .ssh/authorized_keys .ssh/authorized_keys2
hostkey /etc/ssh/ssh_host_ed25519_key
pubkeyacceptedalgorithms %s
"""
FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/bash\njane:x:1000:1000::/home/jane:/bin/bash\nbob:x:1001:1001::/home/bob:/bin/bash\n",
    "/etc/group": "root:x:0:\nsudo:x:27:jane\n",
    "/etc/ssh/ssh_host_ed25519_key.pub": "ssh-ed25519 AAAA\n",
}
RULES = {"refused_keys": [{"type": "ssh-dss", "reason": "gone"}], "removed_directives": [{"name": "UsePrivilegeSeparation", "reason": "gone"}]}
PATH = dict(fake.PATH, sshd=RULES)
SERVER = fake.packages(openssh_server="1:9.2")
PLAN = {"upgrade": [{"name": "openssh-server", "to": "1:10.0"}]}


def asked(files=None, now=EFFECTIVE % (ALL + ",ssh-dss"), **more):
    return fake.context({"/usr/sbin/sshd": now}, dict(FILES, **(files or {})), installed=SERVER, release_path=PATH, **more)


def test_keys_of_authorized_keys():
    text = '# old\n\ncommand="x y",no-pty %s\n%s\nfrom="192.0.2.0/24" %s\n#%s\nnonsense\n' % (DSA, RSA, ED, DSA)
    assert sshd.parse_keys(text) == [(3, "ssh-dss", None), (4, "ssh-rsa", 3072), (5, "ssh-ed25519", None)]
    assert sshd.rsa_bits("!!") is None and sshd.rsa_bits("AAAA") is None
    assert sshd.files_of("jane", "/home/jane", {"authorizedkeysfile": ["/etc/keys/%u %h/.k none"]}) == ["/etc/keys/jane", "/home/jane/.k"]


@pytest.mark.parametrize(
    "files, expected",
    [
        ({"/root/.ssh/authorized_keys": ED + "\n" + RSA}, []),
        ({"/root/.ssh/authorized_keys": DSA}, [("access.sshd.keys", "blocker", "root")]),
        ({"/root/.ssh/authorized_keys": DSA + "\n" + ED}, [("access.sshd.keys", "warning", "root")]),
        ({"/root/.ssh/authorized_keys2": DSA}, [("access.sshd.keys", "blocker", "root")]),
        ({"/home/jane/.ssh/authorized_keys": DSA}, [("access.sshd.keys", "blocker", "jane")]),
        # bob can't become root, and is no operator's way in
        ({"/home/bob/.ssh/authorized_keys": DSA}, []),
        # a key that is refused today is no loss
        ({"/root/.ssh/authorized_keys": SMALL + "\n" + ED}, []),
        ({"/etc/ssh/sshd_config": "Port 22\nuseprivilegeseparation yes\n"}, [("access.sshd.directive", "blocker", "/etc/ssh/sshd_config:2")]),
        ({"/etc/ssh/sshd_config.d/a.conf": "UsePrivilegeSeparation=yes\n"}, [("access.sshd.directive", "blocker", "/etc/ssh/sshd_config.d/a.conf:1")]),
        ({"/etc/ssh/ssh_host_ed25519_key.pub": "ssh-dss AAAA\n"}, [("access.sshd.hostkey", "blocker", "/etc/ssh/ssh_host_ed25519_key")]),
    ],
)
def test_what_the_target_refuses_by_the_release_path(files, expected):
    assert fake.said("PF30", asked(files)) == [("PF30",) + row for row in expected]


def test_a_password_is_another_way_in_and_dsa_that_nobody_took_is_no_loss():
    files = {"/home/jane/.ssh/authorized_keys": DSA}
    open_ = (EFFECTIVE % (ALL + ",ssh-dss")).replace("passwordauthentication no", "passwordauthentication yes")
    assert fake.said("PF30", asked(files, open_)) == [("PF30", "access.sshd.keys", "warning", "jane")]
    assert fake.said("PF30", asked({"/root/.ssh/authorized_keys": DSA}, EFFECTIVE % ALL)) == []
    closed = (EFFECTIVE % (ALL + ",ssh-dss")).replace("permitrootlogin without-password", "permitrootlogin no")
    assert fake.said("PF30", asked({"/root/.ssh/authorized_keys": DSA}, closed)) == []
    assert fake.said("PF30", asked(files, closed.replace("pubkeyauthentication yes", "pubkeyauthentication no"))) == []
    few = (EFFECTIVE % ALL).replace("maxauthtries 6", "maxauthtries 1")
    assert fake.said("PF30", asked(None, few)) == [("PF30", "access.sshd.tries", "info", "sshd")]


def test_an_sshd_that_does_not_answer_and_none_at_all():
    assert fake.said("PF30", asked(None, (255, "", "bad"))) == [("PF30", "access.sshd.unread", "warning", "sshd")]
    assert fake.said("PF30", fake.context(release_path=PATH)) == []


def at_target(monkeypatch, answer, files=None, now=EFFECTIVE % (ALL + ",ssh-dss")):
    seen = []

    def ask(_context, _base, orders, _files):
        seen.extend(orders)
        if isinstance(answer, Exception):
            raise answer
        return [dict({"rc": 0, "out": "", "err": ""}, name=order["name"], **answer) for order in orders], []

    monkeypatch.setattr(_targetroot, "own_state", lambda _context: ("/c", "/a"))
    monkeypatch.setattr(_targetroot, "unpacked", lambda *_more: "/base")
    monkeypatch.setattr(_targetroot, "ask", ask)
    return fake.said("PF30", asked(files, now, plan=PLAN)), seen


def test_the_targets_own_sshd_is_asked(monkeypatch):
    keys = {"/root/.ssh/authorized_keys": DSA + "\n" + RSA}
    said, orders = at_target(monkeypatch, {"out": EFFECTIVE % ALL}, keys)
    assert said == [("PF30", "access.sshd.keys", "warning", "root")] and [order["argv"] for order in orders] == [sshd.ASK]
    # its own list counts, also where the path knows nothing of it
    said, _orders = at_target(monkeypatch, {"out": EFFECTIVE % "ssh-ed25519"}, {"/root/.ssh/authorized_keys": RSA})
    assert said == [("PF30", "access.sshd.keys", "blocker", "root")]
    said, _orders = at_target(monkeypatch, {"out": (EFFECTIVE % ALL).replace("1024", "4096")}, {"/root/.ssh/authorized_keys": RSA})
    assert said == [("PF30", "access.sshd.keys", "blocker", "root")]


def test_another_reading_of_a_setting_blocks(monkeypatch):
    said, _orders = at_target(monkeypatch, {"out": (EFFECTIVE % ALL).replace("without-password", "no")})
    assert said == [("PF30", "access.sshd.changed", "blocker", "permitrootlogin")]
    said, _orders = at_target(monkeypatch, {"rc": 255, "err": "Bad configuration option: x"})
    assert said == [("PF30", "access.sshd.target.refused", "blocker", "/etc/ssh/sshd_config")]
    said, _orders = at_target(monkeypatch, IntactError("no private mounts are possible here"))
    assert said == [("PF30", "access.sshd.target.unasked", "warning", "sshd")]


ENGINES = dict(
    fake.PATH,
    engines=[
        {"engine": "mariadb", "from": ["10.[3-9]", "10.1[01]"], "target": "11.8", "reason": "x"},
        {"engine": "mysql", "from": ["8.*"], "target": "8.4", "reason": "x"},
        {"engine": "postgresql", "from": ["1[0-7]"], "target": "17", "reason": "x"},
        {"engine": "rabbitmq", "from": [], "target": "4.0", "reason": "x"},
    ],
)
MARIADB = "mariadbd  Ver %s-MariaDB-0+deb12u1 for debian-linux-gnu on x86_64 (Debian 12)\n"


@pytest.mark.parametrize(
    "commands, installed, files, expected",
    [
        ({"mariadbd": MARIADB % "10.11.6"}, {"mariadb-server": "1:10.11.6"}, {}, []),
        ({"mariadbd": MARIADB % "12.0.2"}, {"mariadb-server": "1:12.0.2"}, {}, [("databases.path", "blocker", "mariadb")]),
        ({"mysqld": "mysqld  Ver 5.7.44 for Linux\n"}, {"mysql-community-server": "5.7.44-1"}, {}, [("databases.path", "blocker", "mysql")]),
        ({"mysqld": "/usr/sbin/mysqld  Ver 8.0.36 for Linux\n"}, {"mysql-server": "8.0.36"}, {}, []),
        ({}, {"rabbitmq-server": "3.10.8-1"}, {}, [("databases.path", "blocker", "rabbitmq")]),
        ({"mongod": "db version v6.0.14\n"}, {"mongodb-org-server": "6.0.14"}, {}, [("databases.path.unknown", "warning", "mongodb")]),
        (
            {"mariadbd": MARIADB % "10.11.6"},
            {"mariadb-server": "1:10.11.6"},
            {"/var/lib/mysql/mysql_upgrade_info": "10.5.21-MariaDB\0"},
            [("databases.tables", "blocker", "mariadb")],
        ),
        ({"mariadbd": MARIADB % "10.11.6"}, {"mariadb-server": "1:10.11.6"}, {"/var/lib/mysql/mariadb_upgrade_info": "10.11.4-MariaDB"}, []),
    ],
)
def test_database_engines(commands, installed, files, expected):
    context = fake.context(commands, files, installed=fake.packages(**installed), release_path=ENGINES)
    assert fake.said("PF37", context) == [("PF37",) + row for row in expected]


@pytest.mark.parametrize(
    "plan, expected",
    [
        ({"upgrade": [{"name": "mariadb-server", "to": "1:12.0.5"}]}, ("databases.path.same", "info", "mariadb")),
        ({"upgrade": [{"name": "mariadb-server", "to": "1:11.8.3-0+deb13u1"}]}, ("databases.path", "blocker", "mariadb")),
        ({"upgrade": [{"name": "bash", "to": "5"}]}, ("databases.path.same", "info", "mariadb")),
        ({"upgrade": [{"name": "bash", "to": "5"}], "remove": ["mariadb-server"]}, ("databases.path", "blocker", "mariadb")),
        ({"upgrade": [{"name": "mariadb-server", "to": "1:12.3.1"}]}, ("databases.path", "blocker", "mariadb")),
    ],
)
def test_a_vendors_newer_server(plan, expected):
    context = fake.context({"mariadbd": MARIADB % "12.0.2"}, installed=fake.packages(mariadb_server="1:12.0.2"), plan=plan, release_path=ENGINES)
    assert fake.said("PF37", context) == [("PF37",) + expected]


def test_postgresqls_clusters_and_extensions():
    listed = json.dumps([{"version": "15", "cluster": "main"}, {"version": "8.4", "cluster": "old"}])
    names = {"postgresql-15": "15.6", "postgresql-15-postgis-3": "3.3", "postgresql-15-postgis-3-scripts": "3.3", "postgresql-15-cron": "1.4"}
    plan = {"install": ["postgresql-17", "postgresql-17-postgis-3"]}
    context = fake.context({"pg_lsclusters": listed}, installed=fake.packages(**names), plan=plan, release_path=ENGINES)
    assert fake.said("PF37", context) == [
        ("PF37", "databases.path", "blocker", "postgresql 8.4/old"),
        ("PF37", "databases.extension", "warning", "postgresql-15-cron"),
    ]


HESTIA = {"/usr/local/hestia/conf/hestia.conf": "VERSION='1.8.11'\n"}
PANELS = dict(
    fake.PATH,
    panels=[
        {"panel": "hestiacp", "minimum": "1.9.0", "reason": "its notes"},
        {"panel": "cloudpanel", "title": "CloudPanel", "detect": ["/usr/bin/clpctl"], "refused": True, "reason": "its makers"},
        {"panel": "mailman", "packages": ["mailman3"], "reason": "distribution"},
    ],
)
MAILMAN = {"/etc/mailman3/mailman.cfg": "[database]\nclass: mailman.database.sqlite.SQLiteDatabase\nurl: sqlite:////m.db\n", "/usr/bin/mailman": ""}


@pytest.mark.parametrize(
    "files, more, expected",
    [
        ({}, {}, []),
        (HESTIA, {"release_path": fake.PATH}, [("panel.target.unknown", "blocker", "hestiacp")]),
        (HESTIA, {"commands": {"dpkg --compare-versions": ""}}, [("panel.target.old", "blocker", "hestiacp")]),
        (HESTIA, {"commands": {"dpkg --compare-versions": (1, "")}}, []),
        (HESTIA, {"options": {"accepted_panels": [{"panel": "hestia*", "reason": "its makers' mail"}]}}, [("panel.target.accepted", "info", "hestiacp")]),
        ({"/usr/bin/clpctl": ""}, {}, [("panel.target.refused", "blocker", "cloudpanel")]),
        (MAILMAN, {"installed": fake.packages(mailman3="3.3")}, []),
        (MAILMAN, {}, [("panel.target.own", "blocker", "mailman")]),
        (MAILMAN, {"installed": fake.packages(mailman3=("3.3", "rc "))}, [("panel.target.removed", "info", "mailman")]),
        (MAILMAN, {"installed": fake.packages(mailman3="3.3"), "plan": {"remove": ["mailman3"]}}, [("panel.target.own", "blocker", "mailman")]),
    ],
)
def test_panels_at_the_target(files, more, expected):
    more = dict(more)
    context = fake.context(more.pop("commands", None), files, release_path=more.pop("release_path", PANELS), **more)
    assert fake.said("PF42", context) == [("PF42",) + row for row in expected]


@pytest.mark.parametrize(
    "argv, expected",
    [
        (["/usr/bin/restic", "backup", "/home"], "restic"),
        (["/usr/bin/python3", "/usr/bin/borg", "create"], "borg"),
        (["/usr/bin/borg", "serve"], None),
        (["/bin/bash", "/usr/local/hestia/bin/v-backup-users"], "v-backup-users"),
        (["/usr/bin/vim", "/etc/restic.conf"], None),
        (["pkgacct", "x"], None),
        (["nginx: worker process"], None),
    ],
)
def test_jobs_at_work(argv, expected):
    context = fake.context(files=HESTIA, running=[(1, "init", ["/sbin/init"]), (77, "x", argv)])
    assert fake.said("PF43", context) == ([("PF43", "panel.job", "blocker", expected)] if expected else [])


def test_a_panels_job_counts_where_the_panel_is():
    job = [(7, "pkgacct", ["/usr/local/cpanel/scripts/pkgacct"])]
    assert panels.jobs(job, {"cpanel"}) == [(7, "pkgacct", "cpanel", "a backup")] and panels.jobs(job, set()) == []


QUESTIONS = dict(
    fake.PATH,
    questions=[
        {"package": "postfix", "question": "postfix/main_mailer_type", "reason": "x", "type": "select"},
        {"package": "libc6", "question": "libraries/restart-without-asking", "answer": "true", "reason": "x", "severity": "info", "machine": True},
    ],
)


def test_questions_of_debconf():
    names = fake.packages(postfix="3.7", libc6="2.36")
    commands = {"debconf-show postfix": "* postfix/main_mailer_type: Internet Site\n", "debconf-show libc6": "  libraries/restart-without-asking: true\n"}
    assert fake.said("PF46", fake.machine(commands, installed=names, release_path=QUESTIONS)) == []
    open_ = {"debconf-show postfix": "  postfix/main_mailer_type:\n", "debconf-show libc6": "  libraries/restart-without-asking: false\n"}
    assert fake.said("PF46", fake.machine(open_, installed=names, release_path=QUESTIONS)) == [
        ("PF46", "questions.open", "warning", "postfix"),
        ("PF46", "questions.open", "info", "libc6"),
    ]
    assert fake.said("PF46", fake.context(open_, installed=names, release_path=QUESTIONS)) == [("PF46", "questions.open", "warning", "postfix")]
    assert fake.said("PF46", fake.context(installed=names, release_path=QUESTIONS)) == [("PF46", "questions.unread", "warning", "debconf")]
    assert fake.said("PF46", fake.context(open_, release_path=QUESTIONS)) == []


# The release paths that are shipped, and the tools that are here.

HERE = os.path.dirname(os.path.realpath(_registry.__file__))
SHIPPED = sorted(glob.glob(os.path.join(HERE, *[os.pardir] * 3, "roles", "distro_upgrade", "release_paths", "debian-*.yml")))


@pytest.mark.parametrize("file", SHIPPED, ids=[os.path.basename(file) for file in SHIPPED])
def test_every_entry_of_a_shipped_path_says_why(file):
    with open(file, encoding="utf-8") as data:
        path = yaml.safe_load(data)
    machine, keys = path["machine"], path["sshd"]
    lists = [path.get(name) or [] for name in ("storage", "split_packages", "network_names", "engines", "panels", "questions", "removed_drivers", "components")]
    lists += [machine["dropped"], machine["kernels"], keys["refused_keys"], keys["removed_directives"], [path["merged_usr"]]]
    assert all(entry.get("reason") for entries in lists for entry in entries)
    assert {entry["engine"] for entry in path["engines"]} >= {"mariadb", "mysql", "postgresql"}
    assert all(entry.get("refused") or entry.get("packages") or entry.get("minimum") for entry in path["panels"])


def test_the_labs_databases_have_a_way():
    rules = {}
    for file in SHIPPED:
        with open(file, encoding="utf-8") as data:
            rules[os.path.basename(file)] = yaml.safe_load(data)
    for name, version in (("debian-11-12.yml", "10.5"), ("debian-12-13.yml", "10.11")):
        context = fake.context({"mariadbd": MARIADB % (version + ".1")}, installed=fake.packages(mariadb_server=version), release_path=rules[name])
        assert engines.engines(context) == []


class Apart(Host):
    """Runs programs in a mount namespace of their own, where /run/sshd is there and files may be laid over the host's."""

    def __init__(self, *mounts):
        super().__init__()
        self.script = "mount -t tmpfs intact /run && mkdir /run/sshd && " + "".join("mount --bind '%s' '%s' && " % pair for pair in mounts) + 'exec "$@"'

    def run(self, argv, *args, **more):
        return super().run(["unshare", "--mount", "--propagation", "private", "sh", "-c", self.script, "sh"] + list(argv), *args, **more)


def test_the_real_sshd_and_real_keys(tmp_path):
    if os.geteuid() or not os.path.exists("/usr/sbin/sshd") or not shutil.which("ssh-keygen") or not os.path.exists("/etc/ssh/ssh_host_ed25519_key"):
        pytest.skip("needs root, /usr/sbin/sshd with host keys and ssh-keygen")
    if subprocess.run(["unshare", "--mount", "true"], check=False).returncode:
        pytest.skip("no mount namespaces here")
    asked_now = Apart().run(sshd.ASK, check=False)
    assert asked_now.rc == 0, asked_now.error
    now = sshd.parse_effective(asked_now.text)
    assert now["port"] == ["22"] and "ssh-ed25519" in sshd.accepted(now) and now["permitrootlogin"] and now["authorizedkeysfile"]
    lines = []
    for kind, bits in (("rsa", "1024"), ("rsa", "3072"), ("ed25519", ""), ("ecdsa", "256")):
        path = str(tmp_path / (kind + bits))
        subprocess.run(["ssh-keygen", "-q", "-t", kind, "-N", "", "-f", path] + (["-b", bits] if bits else []), check=True)
        with open(path + ".pub", encoding="utf-8") as key:
            lines.append('no-pty,command="echo ssh hi" ' + key.read())
    rows = sshd.parse_keys("".join(lines))
    assert [row[1:] for row in rows] == [("ssh-rsa", 1024), ("ssh-rsa", 3072), ("ssh-ed25519", None), ("ecdsa-sha2-nistp256", None)]
    assert all(sshd.usable(kind, bits, sshd.accepted(now), 1024) for _line, kind, bits in rows)
    assert not sshd.usable("ssh-rsa", 1024, sshd.accepted(now), 2048) and not sshd.usable("ssh-dss", None, sshd.accepted(now), 0)


def test_the_real_table_of_processes():
    if not shutil.which("bash"):
        pytest.skip("bash is not here, which gives a program another name")
    child = subprocess.Popen(["bash", "-c", "exec -a /usr/bin/rdiff-backup sleep 60"])
    try:
        while True:
            assert child.poll() is None
            with open("/proc/%d/cmdline" % child.pid, "rb") as words:
                if words.read().startswith(b"/usr/bin/rdiff-backup"):
                    break
        found = panels.at_rest(Context(host=Host(), release_path=fake.PATH))
        assert ("panel.job", "rdiff-backup", "process %d" % child.pid) in [(f.id, f.subject, f.evidence) for f in found]
    finally:
        child.kill()
        child.wait()
