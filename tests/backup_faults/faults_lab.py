# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What the tests of the scenario backup_faults have in common: hosts to run commands on, and the public surface, called as an operator calls it."""

from __future__ import annotations

import contextlib
import json
import shlex
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

import yaml

ROOT = Path(__file__).resolve().parents[2]
SCENARIO = ROOT / "molecule/backup_faults"
PROGRAM = ["python3", "-I", "-B", "/usr/local/lib/intact/backup/__main__.py"]
RUNS = "/var/lib/intact/backup/runs"
DUMPER = "/usr/bin/mariadb-dump"
HELPER = "/var/lib/intact-faults/on_host.py"
CREDENTIALS = "/etc/intact/drill"
SECRETS = "/etc/intact/backup/secrets"
NAME = "web1.lab.test"


class Host:
    """One container of the lab."""

    def __init__(self, name):
        self.name = name
        inventory = yaml.safe_load((SCENARIO / "inventory/hosts.yml").read_text())
        self.container = inventory["all"]["children"]["lab"]["hosts"][name]["ansible_host"]

    def start(self, *argv, **more):
        """A command that goes on in the background."""
        return subprocess.Popen(self._argv(argv, more), stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)

    def call(self, *argv, stdin=None, **more):
        """How a command ended, with what it said. more: variables of its environment."""
        return subprocess.run(self._argv(argv, more), input=stdin, capture_output=True, text=True, errors="surrogateescape", check=False, timeout=300)

    def run(self, *argv, stdin=None, **more):
        """What a command says that must end well."""
        done = self.call(*argv, stdin=stdin, **more)
        assert done.returncode == 0, (self.name, argv, done.returncode, done.stdout[-2000:], done.stderr[-2000:])
        return done.stdout

    def sh(self, script, **more):
        """The same of a shell script that ends with its first error."""
        return self.run("sh", "-euc", script, **more)

    def read(self, path):
        """A JSON document."""
        return json.loads(self.run("cat", path))

    def _argv(self, argv, variables):
        settings = [part for key, value in variables.items() for part in ("--env", "%s=%s" % (key, value))]
        return ["docker", "exec", "--interactive", *settings, self.container, *argv]


WEB1, VAULT, ATTIC, DRILL = (Host("%s.lab.test" % name) for name in ("web1", "vault", "attic", "drill"))


@dataclass
class Run:
    """One run of the program on web1."""

    code: int
    said: str
    document: dict

    @property
    def findings(self):
        return self.document["findings"]


def last_run():
    """The document that was written last, whatever the program thought of the time."""
    return WEB1.read(WEB1.sh("ls -t %s/*.json | head -n 1" % RUNS).strip())


def program(*words, before=()):
    """The installed program, as a timer's service starts it. before: what it is started through."""
    done = WEB1.call(*before, *PROGRAM, *words)
    return done.returncode, done.stdout + done.stderr


def backup(*classes, before=()):
    """One run of these classes."""
    began = WEB1.run("ls", RUNS)
    code, said = program("run", *classes, before=before)
    document = last_run()
    assert document["run"] + ".json" not in began or document.get("resumed"), (code, said)
    return Run(code, said, document)


@contextlib.contextmanager
def producer():
    """on_host.py in the place of mariadb-dump."""
    WEB1.sh("test ! -e {0}.real; mv {0} {0}.real; cp {1} {0}; chmod 755 {0}".format(DUMPER, HELPER))
    try:
        yield
    finally:
        WEB1.sh("mv {0}.real {0}".format(DUMPER))


@contextlib.contextmanager
def in_the_middle(*classes):
    """A backup that stands still in the middle of a dump, with a restic at work for each repository; goes on afterwards. Yields its process."""
    folder = HELPER.rpartition("/")[0]

    def stands_still():
        assert process.poll() is None, process.stdout.read()
        return WEB1.call("test", "-e", folder + "/holding").returncode == 0

    with producer():
        WEB1.sh("cd %s; rm -f holding; touch slow hold" % folder)
        process = WEB1.start(*PROGRAM, "run", *classes)
        try:
            until(stands_still, 120)
            yield process
        finally:
            WEB1.run("rm", "-f", folder + "/hold")
            process.wait(400)
            WEB1.run("rm", "-f", folder + "/slow")


def good_backup(*classes):
    """One run that must be good: what was mended is told no more."""
    run = backup(*classes)
    assert run.code == 0 and run.document["status"] == "ok", run.said
    assert [finding for finding in run.findings if finding["severity"] != "warning"] == [], run.said
    return run


def state():
    """(state.json, findings) as the program judges them."""
    _code, said = program("state")
    answer = json.loads(said)
    return answer["state"], answer["findings"]


def result(repository, klass):
    """What the state says of the newest run of a class in a repository: ok, partial or failed."""
    return state()[0]["repositories"][repository]["classes"][klass]["last"]["result"]


def told(findings, kind, *names):
    """The findings with this id whose subject is exactly one of the names, each at least once."""
    subjects = {}
    for finding in findings:
        if finding["id"] == kind:
            subjects.setdefault(finding["subject"], finding)
    missing = [name for name in names if name not in subjects]
    assert not missing, "%s of %s is not told; told are %s" % (kind, missing, sorted((f["id"], f["subject"]) for f in findings))
    return [subjects[name] for name in names]


def module(host, name, arguments, library=None):
    """An Ansible module on a host: what it returns, and whether it failed."""
    argv = ["ansible", "--inventory", str(SCENARIO / "inventory"), "--module-name", name, "--args", json.dumps(arguments), host.name]
    done = subprocess.run(argv + (["--module-path", str(library)] if library else []), capture_output=True, text=True, check=False, timeout=600)
    said = done.stdout
    assert "=> {" in said, (done.returncode, said, done.stderr)
    return dict(json.loads(said[said.index("=> {") + 3 :]), failed="| FAILED! =>" in said)


def repositories(*names):
    """Entries as a drill takes them, with the credentials that prepare.yml put on the drill host."""
    known = {
        "vault": {
            "url": "rest:https://vault:8443/web1",
            "environment_file": CREDENTIALS + "/rest.env",
            "ca_file": CREDENTIALS + "/vault.crt",
        },
        "attic": {
            "url": "sftp:backup-web1@attic:/store/web1",
            "identity_file": CREDENTIALS + "/sftp.key",
            "known_hosts_file": CREDENTIALS + "/known_hosts",
        },
    }
    return [dict(known[name], name=name, password_file=CREDENTIALS + "/repository.password") for name in names]


def drill(names, classes, disturbed=False, **more):
    """What the module restore_drill returns on the drill host; disturbed: by the module of the same name below library/, which damages what was restored."""
    held = WEB1.read("/var/lib/intact/backup/state.json")
    drill_id = "faults-%d" % time.monotonic_ns()
    arguments = {
        "host": NAME,
        "repositories": repositories(*names),
        "classes": classes,
        "scratch": "/var/lib/intact-drills/" + drill_id,
        "state": {
            "repositories": {
                name: {"classes": {c: {"last": {key: e["last"][key] for key in ("manifest", "run")}} for c, e in entry["classes"].items()}}
                for name, entry in held["repositories"].items()
            }
        },
    }
    if disturbed:
        return module(DRILL, "disturbed_drill", dict(arguments, **more), ROOT / "tests/backup_faults/library")
    return module(DRILL, "intact.hosting.restore_drill", dict(arguments, dest="/var/lib/intact/drills/" + drill_id, **more))


def restic(repository, *arguments):
    """(argv for web1) restic with web1's own credentials, as whoever took web1 over has them."""
    argv = ["restic", "--password-file", "%s/%s.password" % (SECRETS, repository), "--cacert", SECRETS + "/vault.ca"]
    address = "rest:https://$RESTIC_REST_USERNAME:$RESTIC_REST_PASSWORD@vault:8443/web1"
    if repository == "attic":
        address = "sftp:backup-web1@attic:/store/web1"
        command = "ssh -o BatchMode=yes -o UserKnownHostsFile={0}/attic.known_hosts -i {0}/attic.identity -l backup-web1 -s attic sftp".format(SECRETS)
        argv += ["-o", "sftp.command=" + command]
    script = '. %s/vault.environment; export RESTIC_REPOSITORY="%s"; exec %s'
    return ["sh", "-euc", script % (SECRETS, address, shlex.join(argv + list(arguments)))]


def snapshots(repository, tag):
    """What a repository holds with a tag, asked with web1's credentials."""
    return json.loads(WEB1.run(*restic(repository, "snapshots", "--json", "--no-lock", "--tag", tag)))


def until(what, seconds=60.0, pause=0.1):
    """Wait until what() is true; it is returned."""
    deadline = time.monotonic() + seconds
    while True:
        found = what()
        if found:
            return found
        assert time.monotonic() < deadline, "%s did not come about within %d s" % (what.__name__, seconds)
        time.sleep(pause)
