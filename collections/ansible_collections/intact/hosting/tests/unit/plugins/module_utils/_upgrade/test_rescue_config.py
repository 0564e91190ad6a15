# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What the second sshd is told, and which keys it takes: tables, without a daemon."""

from __future__ import annotations

import os
import struct

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _firewall_door, _private_copy, _rescue_config

KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIJ8 me@x"


@pytest.mark.parametrize(
    ("line", "commands", "taken"),
    [
        (KEY, False, True),
        ("ecdsa-sha2-nistp256 AAAA", False, True),
        ("sk-ssh-ed25519@openssh.com AAAA", False, True),
        ('from="192.0.2.0/24",no-pty ' + KEY, False, True),
        ('command="rrsync /x" ' + KEY, True, True),
        ('command="rrsync /x" ' + KEY, False, False),
        ('no-pty, COMMAND="a \\"b\\" c" ' + KEY, False, False),
        ('environment="X=command=y" ' + KEY, False, True),
        ('restrict,command="a, b" ' + KEY, False, False),
        ("cert-authority " + KEY, False, True),
        ("# " + KEY, True, False),
        ("", True, False),
        ("nonsense", True, False),
        ("root:$6$abc:19000:0:99999:7:::", True, False),
    ],
)
def test_keys_are_told_from_what_is_none(line, commands, taken):
    assert _rescue_config.keys((line + "\n").encode(), commands) == ([line] if taken else [])


@pytest.mark.parametrize(
    ("given", "out"),
    [
        (["192.0.2.7", " 192.0.2.7 "], ["192.0.2.7"]),
        (["::ffff:192.0.2.7"], ["192.0.2.7"]),
        (["192.0.2.7/24", "2001:DB8::1/64"], ["192.0.2.0/24", "2001:db8::/64"]),
        (["fe80::1%eth0"], ["fe80::1%eth0"]),
    ],
)
def test_addresses_are_normalised(given, out):
    assert _rescue_config.addresses(given) == out


@pytest.mark.parametrize("given", ["web1.example.com", "0.0.0.0/0", "::/0", "", "192.0.2.300", "root@192.0.2.1"])
def test_everybody_and_names_are_refused(given):
    with pytest.raises(IntactError):
        _rescue_config.addresses([given])


def test_what_narrows_today_narrows_the_second_one_too():
    options = _rescue_config.effective(
        "hostkey /a\nhostkey /b\nrevokedkeys /revoked\ntrustedusercakeys none\ndenyusers x\ndenyusers y\nallowgroups ops\nciphers aes256-ctr\n"
        "permitrootlogin without-password\nsshdsessionpath /usr/lib/openssh/sshd-session\nsshdauthpath /usr/lib/openssh/sshd-auth\n"
        "authorizedkeysfile .ssh/authorized_keys /etc/ssh/keys/%u %h/.k none\npasswordauthentication yes\nusepam yes\n"
    )
    text = _rescue_config.text(options, 4222, ["192.0.2.7", "2001:db8::/64"], "/p")
    lines = text.splitlines()
    for line in (
        "Port 4222", "AllowUsers root@192.0.2.7 root@2001:db8::/64", "PermitRootLogin prohibit-password", "AuthorizedKeysFile /p/keys", "UsePAM no",
        "PasswordAuthentication no", "KbdInteractiveAuthentication no", "hostkey /a", "hostkey /b", "revokedkeys /revoked", "denyusers x", "denyusers y",
        "allowgroups ops", "ciphers aes256-ctr", "sshdsessionpath /p/sshd-session", "sshdauthpath /p/sshd-auth", "PidFile none",
    ):  # fmt: skip
        assert line in lines
    assert "trustedusercakeys" not in text and "usepam yes" not in text
    assert len([line for line in lines if line.lower().startswith("passwordauthentication")]) == 1
    assert _rescue_config.key_files(options, "root", "/root") == ["/root/.ssh/authorized_keys", "/etc/ssh/keys/root", "/root/.k"]
    assert "allowgroups" not in _rescue_config.text(options, 4222, ["192.0.2.7"], "/p", "admin")
    only = dict(options, permitrootlogin=["forced-commands-only"])
    assert "PermitRootLogin forced-commands-only" in _rescue_config.text(only, 4222, ["192.0.2.7"], "/p")


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root")
def test_a_key_file_that_others_can_write_to_is_not_read(tmp_path):
    home = "/var/lib/intact-test-keys"
    os.makedirs(home + "/.ssh", mode=0o700)
    path = home + "/.ssh/authorized_keys"
    try:
        with open(path, "w", encoding="ascii") as handle:
            handle.write(KEY)
        assert _rescue_config.read_keys(path, 0) == KEY.encode()
        os.chmod(path, 0o620)
        assert _rescue_config.read_keys(path, 0) is None
        os.chmod(path, 0o600)
        os.chown(path, 1234, 0)
        assert _rescue_config.read_keys(path, 0) is None
        assert _rescue_config.read_keys(path, 1234) == KEY.encode()
        os.chmod(home, 0o777)
        assert _rescue_config.read_keys(path, 1234) is None
        os.chmod(home, 0o700)
        os.unlink(path)
        os.mkfifo(path)
        assert _rescue_config.read_keys(path, 0) is None
        assert _rescue_config.read_keys(home + "/none", 0) is None
    finally:
        os.unlink(path)
        os.rmdir(home + "/.ssh")
        os.rmdir(home)


def program(bits, order, path=b"/lib/ld.so\0"):
    """The smallest ELF file with a loader's name, of either width and byte order."""
    head = b"\x7fELF" + bytes([2 if bits == 64 else 1, 1 if order == "<" else 2]) + b"\0" * 10
    if bits == 64:
        entries = struct.pack(order + "IIQQQQQQ", 6, 0, 0, 0, 0, 0, 0, 0) + struct.pack(order + "IIQQQQQQ", 3, 4, 176, 0, 0, len(path), len(path), 1)
        head += struct.pack(order + "HHIQQQIHHHHHH", 2, 0, 1, 0, 64, 0, 0, 64, 56, 2, 0, 0, 0)
    else:
        entries = struct.pack(order + "IIIIIIII", 6, 0, 0, 0, 0, 0, 0, 0) + struct.pack(order + "IIIIIIII", 3, 116, 0, 0, len(path), len(path), 4, 1)
        head += struct.pack(order + "HHIIIIIHHHHHH", 2, 0, 1, 0, 52, 0, 0, 52, 32, 2, 0, 0, 0)
    return head + entries + path + b"more"


@pytest.mark.parametrize("bits", [32, 64])
@pytest.mark.parametrize("order", ["<", ">"])
def test_a_program_asks_for_another_loader_of_any_length(bits, order):
    before = program(bits, order)
    assert _private_copy.interpreter(before) == "/lib/ld.so"
    for path in ("/x", "/var/lib/intact/upgrade/%s/rescue/lib/loader.so" % ("y" * 80)):
        after = _private_copy.with_interpreter(before, path)
        assert _private_copy.interpreter(after) == path
        assert len(after) == len(before) + len(path) + 1 and after.endswith(path.encode() + b"\0")
        assert sum(a != b for a, b in zip(before, after)) <= 16


def test_what_is_no_program_is_refused(tmp_path):
    assert _private_copy.interpreter(b"#!/bin/sh\n") is None
    with pytest.raises(IntactError):
        _private_copy.with_interpreter(b"#!/bin/sh\n", "/x")
    with pytest.raises(IntactError, match="a library is missing: libx"):
        _private_copy.listed("\tlibc.so.6 => /lib/libc.so.6 (0x00)\n\tlibx.so.1 => not found\n")


def test_login_services_are_told_from_nsswitch():
    text = "passwd: files systemd [NOTFOUND=return] sss # x\nhosts: dns mdns\ngroup:files ldap\n# shadow: nis\n"
    assert _private_copy.services(text) == ["files", "systemd", "sss", "ldap"]


@pytest.mark.parametrize(
    ("rules", "drops"),
    [
        ("-A INPUT -j ACCEPT\n", False),
        ("-A INPUT -p tcp --dport 25 -j REJECT --reject-with tcp-reset\n", True),
        ("-A INPUT -j LOOP\n-A LOOP -j LOOP2\n-A LOOP2 -j LOOP\n", False),
        ("-A INPUT -g LOOP\n-A LOOP -j LOOP2\n-A LOOP2 -j DROP\n", True),
        ("-A INPUT -j NFQUEUE --queue-num 0\n", True),
        ('-A INPUT -m comment --comment "-j DROP" -j ACCEPT\n', False),
    ],
)
def test_chains_of_iptables_that_could_drop(rules, drops):
    tables = _firewall_door.parse_save("*filter\n:INPUT ACCEPT [0:0]\n:LOOP - [0:0]\n:LOOP2 - [0:0]\n%sCOMMIT\n" % rules)
    assert _firewall_door.iptables_drops(tables["filter"], "INPUT") is drops
