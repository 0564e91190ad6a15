# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The second way in, with the real sshd, ssh and nft in namespaces: who gets in, by what, and what is left when it is closed."""

from __future__ import annotations

import json
import re
import shutil
import subprocess

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _private_copy
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._upgrade.isolated import needs, places, wire

pytestmark = needs("sshd", "ssh", "ssh-keygen", "nft")
# /etc, /var and /root may be written to; nothing of it reaches this machine.
PREPARE = """
mkdir -p {top}/over && mount -t tmpfs over {top}/over
for name in etc var root; do
    mkdir -p {top}/over/$name {top}/over/$name.work
    mount -t overlay over -o lowerdir=/$name,upperdir={top}/over/$name,workdir={top}/over/$name.work /$name
done
mount -t tmpfs run /run
test ! -e /var/sshd
sed -i 's/^root:[^:]*:/root:*:/' /etc/shadow
rm -rf /root/.ssh /etc/ssh/sshd_config.d; mkdir -m 700 /root/.ssh
test -e /etc/ssh/ssh_host_ed25519_key || ssh-keygen -q -t ed25519 -N '' -f /etc/ssh/ssh_host_ed25519_key
printf 'UsePAM yes\\nPermitRootLogin prohibit-password\\nPasswordAuthentication yes\\nInclude /etc/ssh/more\\n' > /etc/ssh/sshd_config
: > /etc/ssh/more
cp {top}/key.pub /root/.ssh/authorized_keys
"""
# What systemd would do with the unit, by the unit's own words.
PROGRAM = """
import json, os, shlex, subprocess, sys
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _host, _rescue, _state
top, action, settings = sys.argv[1], sys.argv[2], json.loads(sys.argv[3])
ROOT = "/var/lib/intact-in-test"
_rescue.UNITS, number = top + "/units", top + "/sshd.pid"
class Host(_host.Host):
    def systemctl(self, *words, **more):
        if words[0] in ("restart", "start", "disable") and os.path.exists(number):
            try:
                os.kill(int(open(number).read()), 15)
            except ProcessLookupError:
                pass
            os.unlink(number)
        if words[0] in ("restart", "start"):
            lines = open(_rescue.UNITS + "/" + words[1]).read().splitlines()
            env = dict(line.split("=", 2)[1:] for line in lines if line.startswith("Environment="))
            argv = shlex.split(next(line for line in lines if line.startswith("ExecStart=")).split("=", 1)[1])
            started = subprocess.Popen(argv, env=env, start_new_session=True, stdin=-3, stdout=-3, stderr=open(top + "/sshd.log", "a"))
            open(number, "w").write(str(started.pid))
        return self.run(["true"])
directory = ROOT + "/web1-1"
os.makedirs(directory, exist_ok=True)
os.makedirs(_rescue.UNITS, exist_ok=True)
memory = _state.Memory(_state.load("web1-1", ROOT, top + "/flights") or _state.fresh("web1-1"), ROOT, top + "/flights")
memory.save()
host = Host(directory, top, memory)
try:
    said = {"open": _rescue.open_way, "close": lambda h, _s: _rescue.close_way(h), "watch": lambda h, _s: _rescue.watch(h)}[action](host, settings)
    print(json.dumps([said, _rescue.state(host)]))
except IntactError as exc:
    print(json.dumps(["REFUSED: " + str(exc) + "; " + getattr(exc, "following", ""), {}]))
"""
RULES = """
table inet filter {
    chain input {
        type filter hook input priority filter; policy drop;
        ct state established,related accept
        iif "lo" accept
        meta l4proto ipv6-icmp accept
    }
}
"""
DIRECTORY = "/var/lib/intact-in-test/web1-1"
WANTED = {"rescue_ssh": {"port": 4222, "from": ["192.0.2.2", "2001:db8::2"], "keys_of": "root"}}


class Lab:
    """The host, the controller, and what is done from one or the other."""

    def __init__(self, top, host, controller):
        self.top, self.host, self.controller = top, host, controller

    def do(self, action, settings=None):
        """Call one of the actions on the host; returns (sentence, state)."""
        done = self.host.python(PROGRAM, str(self.top), action, json.dumps(settings or {}), check=False)
        assert done.returncode == 0, done.stderr
        return json.loads(done.stdout)

    def ssh(self, command, to="192.0.2.1", source=None, key="key", *more):
        """Log in from the controller; the finished process."""
        words = ["-o", "BindAddress=%s" % source] if source else []
        words += ["-F", "/dev/null", "-p", "4222", "-i", "%s/%s" % (self.top, key), "-o", "IdentitiesOnly=yes", "-o", "BatchMode=yes"]
        words += ["-o", "StrictHostKeyChecking=no", "-o", "UserKnownHostsFile=/dev/null", "-o", "ConnectTimeout=3", *more]
        return self.controller.run("ssh", *words, "root@" + to, command, check=False)


@pytest.fixture
def lab(tmp_path):
    for name in ("key", "other"):
        subprocess.run(["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-f", str(tmp_path / name)], check=True)
    with places(PREPARE.format(top=tmp_path), ":") as (host, controller):
        wire(host, controller, ("192.0.2.1/24", "192.0.2.2/24"), ("2001:db8::1/64", "2001:db8::2/64"))
        controller.run("ip", "addr", "add", "192.0.2.3/24", "dev", "cable")
        made = Lab(tmp_path, host, controller)
        try:
            yield made
        finally:
            if (tmp_path / "sshd.pid").exists():
                subprocess.run(["kill", (tmp_path / "sshd.pid").read_text()], check=False)


def tree(lab):
    """Names of what is in the places that the way in writes to."""
    return lab.host.run("sh", "-c", "ls -d /var/sshd /run/* 2>/dev/null; ls %s %s/units" % (DIRECTORY, lab.top))


def test_a_key_gets_in_from_the_address_and_nothing_else_does(lab):
    lab.host.run("nft", "-f", "-", stdin=RULES)
    before = lab.host.run("nft", "-s", "list", "ruleset")
    said, state = lab.do("open", WANTED)
    assert said == "port 4222 for 192.0.2.2, 2001:db8::2, 1 keys, a rule in 1 chains; a login with a key worked, it answers"
    assert state == {"open": True, "port": 4222, "from": ["192.0.2.2", "2001:db8::2"], "unit": "intact-rescue-ssh.service"}
    for address in ("192.0.2.1", "2001:db8::1"):
        done = lab.ssh("id -u; env; cat /proc/$PPID/maps", address)
        assert done.stdout.startswith("0\n"), done.stderr
        assert "LD_LIBRARY_PATH" not in done.stdout and "OPENSSL_CONF" not in done.stdout
        maps = done.stdout[done.stdout.index("LOGNAME") :]
        assert _private_copy.foreign(maps, DIRECTORY + "/rescue") == []
        assert re.search(r"/rescue/lib/libc\.so\.6", maps) and re.search(r"/rescue/lib/libcrypto", maps)
    assert lab.ssh("true", source="192.0.2.3").returncode == 255
    lab.host.run("nft", "flush", "ruleset")
    refused = lab.ssh("true", source="192.0.2.3")
    assert refused.returncode == 255 and "Permission denied (publickey)" in refused.stderr
    assert "Permission denied (publickey)" in lab.ssh("true", key="other").stderr
    without = lab.ssh("true", "192.0.2.1", None, "none", "-o", "PreferredAuthentications=none,password,keyboard-interactive")
    assert "Permission denied (publickey)." in without.stderr
    lab.host.run("nft", "-f", "-", stdin=RULES)
    lab.do("watch")
    assert lab.do("close")[0] == "the second way in is closed, 1 chains as they were"
    assert lab.host.run("nft", "-s", "list", "ruleset") == before
    assert tree(lab).split() == [str(lab.top) + "/units:"] or "rescue" not in tree(lab)
    assert "/var/sshd" not in tree(lab)
    assert lab.ssh("true").returncode == 255


def test_it_lets_in_while_the_system_is_torn_apart(lab):
    """Its own sshd stopped with its directory gone, libcrypto and the PAM modules half written, sshd itself and its configuration away."""
    lab.do("open", WANTED)
    ruin = """
        : > {top}/garbage
        for file in $(ldd /usr/sbin/sshd | sed -n 's/.*=> \\(\\/[^ ]*\\) .*/\\1/p' | grep -v -E 'libc.so|libselinux|libpcre'); do
            mount --bind {top}/garbage $file
        done
        mount --bind {top}/garbage /usr/sbin/sshd
        mount --bind {top}/garbage /etc/ssh/sshd_config
        rm -rf /run/sshd /etc/pam.d /root/.ssh
        ! /usr/sbin/sshd -t
    """
    lab.host.run("sh", "-ec", ruin.format(top=lab.top))
    done = lab.ssh("echo in")
    assert done.stdout == "in\n", done.stderr


def test_what_is_taken_away_meanwhile_is_set_right(lab):
    lab.host.run("nft", "-f", "-", stdin=RULES)
    lab.do("open", WANTED)
    assert lab.do("watch")[0] == ""
    lab.host.run("nft", "-f", "-", stdin="flush ruleset\n" + RULES)
    assert lab.ssh("true").returncode == 255
    assert lab.do("watch")[0] == "a rule for the second way in was gone from inet filter input and is set again"
    assert lab.ssh("true").returncode == 0
    lab.host.run("sh", "-c", "kill $(cat %s/sshd.pid)" % lab.top)
    assert "the second sshd was away and is started again" in lab.do("watch")[0]
    # A reboot: the rules are loaded anew, and the unit sets the door by itself.
    lab.host.run("nft", "-f", "-", stdin="flush ruleset\n" + RULES)
    door = "from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _rescue; import sys; sys.exit(_rescue.door_main(sys.argv[1]))"
    lab.host.python(door, DIRECTORY + "/rescue")
    assert lab.ssh("true").returncode == 0


def test_opening_it_again_begins_anew_and_leaves_one_of_all(lab):
    lab.host.run("nft", "-f", "-", stdin=RULES)
    first = lab.do("open", WANTED)[0]
    assert lab.do("open", WANTED)[0] == first
    assert lab.host.run("nft", "list", "ruleset").count("intact-rescue-ssh") == 2
    assert lab.ssh("true").returncode == 0


def test_a_port_that_is_taken_is_refused(lab):
    holder = subprocess.Popen(
        lab.host.argv("python3", "-c", "import socket, time; s = socket.create_server(('', 4222)); print(1, flush=True); time.sleep(99)"), stdout=-1
    )
    try:
        holder.stdout.readline()
        assert "port 4222, which the second sshd is to have, is taken" in lab.do("open", WANTED)[0]
    finally:
        holder.kill()
        holder.communicate()


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("echo PermitRootLogin no > /etc/ssh/sshd_config", "no second way in: root may not log in here (PermitRootLogin no)"),
        ("echo AuthenticationMethods publickey,password > /etc/ssh/more", "no second way in: root needs more than a key here"),
        ("echo AllowUsers admin > /etc/ssh/more", "no second way in: root may not log in here (AllowUsers)"),
        ("printf 'Match Address 192.0.2.2\\nPubkeyAuthentication no\\n' > /etc/ssh/more", "no second way in: this host's sshd takes no keys"),
        ("sed -i 's/^root:[^:]*:/root:!:/' /etc/shadow", "no second way in: root's account is locked"),
        ("rm /root/.ssh/authorized_keys", "no second way in: root has no key in .ssh/authorized_keys"),
        ("chmod 777 /root/.ssh", "no second way in: root has no key"),
        ("echo Nonsense yes > /etc/ssh/more", "REFUSED: sshd does not take its own configuration"),
        ("mkdir /var/sshd; touch /var/sshd/x", "REFUSED: /var/sshd is there and is no empty directory"),
    ],
)
def test_what_is_not_allowed_today_is_not_allowed_by_it(lab, more, said):
    lab.host.run("sh", "-ec", more)
    assert lab.do("open", WANTED)[0].startswith(said)
    lab.do("close")
    assert lab.ssh("true").returncode == 255
    assert "rescue" not in tree(lab)


def test_keys_of_a_named_user_without_those_that_only_run_a_command(lab):
    top = lab.top
    lab.host.run(
        "sh",
        "-ec",
        "useradd -m -d /var/intact-test-admin admin; mkdir -m 700 ~admin/.ssh; cp %s/other.pub ~admin/.ssh/authorized_keys;"
        "sed 's/^/command=\"x\" /' %s/key.pub >> ~admin/.ssh/authorized_keys; chown -R admin ~admin/.ssh; echo PermitRootLogin no > /etc/ssh/sshd_config"
        % (top, top),
    )
    said = lab.do("open", {"rescue_ssh": dict(WANTED["rescue_ssh"], keys_of="admin")})[0]
    assert "1 keys" in said
    assert lab.ssh("id -un", key="other").stdout == "root\n"
    assert lab.ssh("id -un").returncode == 255


def test_a_network_and_a_link_local_address(lab):
    zone = re.search(r"inet6 (fe80::\S+)/64", lab.controller.run("ip", "addr", "show", "dev", "cable")).group(1)
    lab.host.run("nft", "-f", "-", stdin=RULES)
    own = re.search(r"inet6 (fe80::\S+)/64", lab.host.run("ip", "addr", "show", "dev", "cable")).group(1)
    said = lab.do("open", {"rescue_ssh": {"port": 4222, "from": ["192.0.2.0/31", "%s%%cable" % zone], "keys_of": "root"}})[0]
    assert said.startswith("port 4222 for 192.0.2.0/31, fe80::"), said
    while "tentative" in lab.host.run("ip", "addr") + lab.controller.run("ip", "addr"):
        pass
    assert lab.ssh("true", own + "%cable").returncode == 0
    assert lab.ssh("true").returncode == 255


def test_what_systemd_is_given_is_sound(lab):
    if not shutil.which("systemd-analyze"):
        pytest.skip("needs systemd-analyze")
    lab.do("open", WANTED)
    unit = lab.top / "units" / "intact-rescue-ssh.service"
    assert "/run/" not in unit.read_text()
    said = lab.host.run("systemd-analyze", "verify", "--man=no", str(unit), check=False)
    assert not [line for line in said.stderr.splitlines() if "intact-rescue-ssh" in line]
    # What has the copy's libraries in its environment must start nothing of the host's.
    assert [line.split("=")[0] for line in unit.read_text().splitlines() if line.startswith("Exec")] == ["ExecStart"]
    door = (lab.top / "units" / "intact-rescue-door.service").read_text()
    assert "Environment" not in door and "/runner/door.py %s/rescue" % DIRECTORY in door
    lab.do("close")
    assert list((lab.top / "units").iterdir()) == []


def test_a_firewall_that_takes_no_rule_is_a_refusal_and_leaves_nothing(lab):
    lab.host.run("nft", "-f", "-", stdin=RULES)
    lab.host.run(
        "sh",
        "-ec",
        'printf \'#!/bin/sh\\n[ "$2" = list ] || { echo Operation not permitted >&2; exit 1; }\\nexec %s "$@"\\n\' > /root/nft' % shutil.which("nft"),
    )
    lab.host.run("sh", "-ec", "cp %s /root/nft.real; sed -i 's#^exec [^ ]*#exec /root/nft.real#' /root/nft; chmod 755 /root/nft" % shutil.which("nft"))
    lab.host.run("mount", "--bind", "/root/nft", shutil.which("nft"))
    said = lab.do("open", WANTED)[0]
    assert said.startswith("REFUSED: the door for the second way in cannot be set: nft refused a rule: Operation not permitted; let the firewall")
    lab.host.run("umount", shutil.which("nft"))
    lab.do("close")
    assert "rescue" not in tree(lab)
