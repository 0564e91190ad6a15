# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Accounts, groups, passwords, keys, sudo and quotas."""

from __future__ import annotations

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _sudoers, accounts
from ansible_collections.intact.hosting.plugins.module_utils._findings import Finding, IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._baseline.recorded import HOSTS, changed, recorded, told

PASSWD = (
    "root:x:0:0:root:/root:/bin/bash\nwww-data:x:33:33:www-data:/var/www:/usr/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin\n"
    "alice:x:2001:2001:Alice Ö,,,:/home/alice:/bin/bash\nbob:x:2002:2002::/home/bob:/bin/sh\nguest:x:2003:2003::/home/guest:/bin/bash\n"
)
GROUP = "root:x:0:\nwww-data:x:33:alice\nnogroup:x:65534:\nalice:x:2001:\nbob:x:2002:\nguest:x:2003:\nteam:x:3000:bob,alice\n"
SHADOW = (
    "root:*:19000:0:99999:7:::\nwww-data:*:19000:0:99999:7:::\nnobody:*:19000:0:99999:7:::\nalice:$y$j9T$salt$hashA:19000:0:99999:7:::\n"
    "bob:!$y$j9T$salt$hashB:19000:0:99999:7:30:20800:\nguest::19000:0:99999:7:::\n"
)
KEY_LINE = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIGyFZkLs4IvHDS+sTwkvsNh08GCd7ckZ9tI8mi9kqVpT alice@laptop"
SUDOERS = """# This file
Defaults   env_reset
root ALL=(ALL:ALL) ALL
%sudo ALL=(ALL:ALL) \\
   ALL # all of it
@includedir /etc/sudoers.d
#includedir /etc/no-such
"""


def host(
    passwd=PASSWD,
    group=GROUP,
    shadow=SHADOW,
    keys=KEY_LINE + "\n# comment\n",
    more=None,
    stats=None,
    options=None,
    commands=None,
    directories=("/home/bob", "/home/guest", "/root", "/var/www"),
):
    files = {
        "/etc/passwd": passwd,
        "/etc/group": group,
        "/etc/shadow": shadow,
        "/home/alice/.ssh/authorized_keys": keys,
        "/bin/bash": "",
        "/bin/sh": "",
        "/usr/sbin/nologin": "",
        "/etc/sudoers": SUDOERS,
        "/etc/sudoers.d/hosting": "%team ALL=(root) NOPASSWD: /usr/bin/systemctl reload nginx\n",
        "/etc/sudoers.d/README": "# only comments\n",
        "/etc/sudoers.d/old.bak": "bob ALL=ALL\n",
    }
    files.update(more or {})
    owners = {
        "/home/alice": {"uid": 2001, "gid": 2001, "mode": 0o750},
        "/home/bob": {"uid": 2002, "mode": 0o750},
        "/etc/sudoers": {"mode": 0o440},
        "/etc/sudoers.d/hosting": {"mode": 0o440},
    }
    owners.update(stats or {})
    return FakeSystem(commands=dict({"visudo -c": "parsed OK\n"}, **(commands or {})), files=files, stats=owners, directories=directories, options=options)


def take(**given):
    return accounts.capture(host(**given))


@pytest.mark.parametrize("name", HOSTS)
def test_recorded_accounts(name):
    data = take(passwd=recorded(name, "passwd.txt"), group=recorded(name, "group.txt"))
    assert data["items"]["user root"]["uid"] == 0 and data["items"]["group www-data"]["gid"] == 33
    assert accounts.compare(data, take(passwd=recorded(name, "passwd.txt"), group=recorded(name, "group.txt"))) == []
    if name == "web1-bookworm":
        assert data["items"]["user garden-allotment-association-908"]["group"] == "garden-allotment-association-908"
        assert data["items"]["group harbour-crew"]["members"] == ["carol", "harbour", "j.doe"]


def test_what_an_account_is():
    items = take()["items"]
    alice = items["user alice"]
    assert (alice["uid"], alice["group"], alice["gecos"], alice["home_state"], alice["shell_there"]) == (2001, "alice", "Alice Ö,,,", "0750 alice", True)
    assert alice["keys"] == ["ssh-ed25519 SHA256:Ym/d1PXaPi/hPTuylS51T5BpJVUAt3hii6ptiYpV7U8"]
    states = {name: items["user " + name]["password"]["state"] for name in ("root", "alice", "bob", "guest")}
    assert states == {"root": "locked", "alice": "set", "bob": "locked", "guest": "empty"}
    assert items["user bob"]["expires"] == "20800" and items["user bob"]["aging"] == ["0", "99999", "7", "30"]
    assert items["sudoers /etc/sudoers"]["rules"] == ["%sudo ALL=(ALL:ALL) ALL", "Defaults env_reset", "root ALL=(ALL:ALL) ALL"]
    assert "sudoers /etc/sudoers.d/old.bak" not in items and items["sudoers"]["valid"]


def test_no_password_hash_leaves_the_host():
    text = repr(take())
    assert "hashA" not in text and "hashB" not in text and "$y$" not in text


def test_without_a_key_passwords_are_not_compared_and_that_is_said():
    system = host(options={"read_only": True})
    data = accounts.capture(system)
    assert data["items"]["user alice"]["password"] == {"state": "set", "digest": None}
    assert system.unlooked[0]["what"] == "passwords" and "/var/lib/intact/baseline.key" not in system.files
    assert accounts.compare(take(), data) == []


def test_fingerprints_are_those_of_ssh_keygen():
    assert (
        accounts.fingerprint('from="192.0.2.*",command="/bin/true" ' + KEY_LINE)
        == 'ssh-ed25519 SHA256:Ym/d1PXaPi/hPTuylS51T5BpJVUAt3hii6ptiYpV7U8 from="192.0.2.*",command="/bin/true"'
    )
    assert accounts.fingerprint("ssh-rsa not-base64!").startswith("unreadable line sha256:")


def test_keys_are_looked_for_where_sshd_does():
    config = {
        "/etc/ssh/sshd_config": "Port 22\nAuthorizedKeysFile /etc/keys/%u .ssh/other\nMatch User bob\n  AuthorizedKeysFile none\n",
        "/etc/keys/bob": KEY_LINE,
    }
    items = take(more=config)["items"]
    assert len(items["user bob"]["keys"]) == 1 and items["user alice"]["keys"] == []


def edit(user, **values):
    return lambda i: i["user " + user].update(values)


def without_member(items):
    items["group team"]["members"] = ["bob"]


@pytest.mark.parametrize(
    "step, expected",
    [
        (edit("alice", uid=2099, home_state="0750 2001"), [("accounts.uid.changed", "blocker", "user alice")]),
        (edit("www-data", uid=34), [("accounts.uid.changed", "blocker", "user www-data")]),
        (edit("alice", home="/srv/alice"), [("accounts.home.changed", "blocker", "user alice")]),
        (edit("alice", shell="/usr/sbin/nologin"), [("accounts.shell.changed", "blocker", "user alice")]),
        (edit("www-data", shell="/bin/sh"), [("accounts.shell.changed", "warning", "user www-data")]),
        (edit("alice", shell_there=False), [("accounts.shell.missing", "blocker", "user alice")]),
        (edit("alice", gid=100, group="users"), [("accounts.gid.changed", "blocker", "user alice")]),
        (edit("alice", password={"state": "set", "digest": "another"}), [("accounts.password.changed", "blocker", "user alice")]),
        (edit("alice", password={"state": "empty", "digest": None}), [("accounts.password.changed", "blocker", "user alice")]),
        (edit("bob", password={"state": "set", "digest": "x"}), [("accounts.password.changed", "blocker", "user bob")]),
        (edit("www-data", password={"state": "empty", "digest": None}), [("accounts.password.changed", "blocker", "user www-data")]),
        (edit("alice", password={"state": "unknown", "digest": None}), []),
        (edit("bob", expires=""), [("accounts.expiry.changed", "blocker", "user bob")]),
        (edit("bob", aging=["0", "90", "7", "30"]), [("accounts.expiry.changed", "warning", "user bob")]),
        (edit("alice", home_state="0755 alice"), [("accounts.owner.changed", "blocker", "user alice")]),
        (edit("alice", home_state="none"), [("accounts.owner.changed", "blocker", "user alice")]),
        (edit("alice", keys=[]), [("accounts.keys.changed", "blocker", "user alice")]),
        (edit("bob", keys=["ssh-rsa SHA256:x"]), [("accounts.keys.changed", "warning", "user bob")]),
        (edit("alice", gecos="Eve"), [("accounts.name.changed", "warning", "user alice")]),
        (edit("www-data", gecos="other"), []),
        (without_member, [("accounts.group.member.lost", "blocker", "alice in group team")]),
        (lambda i: i["group www-data"]["members"].append("bob"), [("accounts.group.member.new", "warning", "bob in group www-data")]),
        (lambda i: i["group team"].update(gid=3001), [("accounts.group.gid.changed", "blocker", "group team")]),
        (lambda i: i.pop("group team"), [("accounts.group.missing", "blocker", "group team")]),
        (lambda i: i.pop("user www-data"), [("accounts.missing", "warning", "user www-data")]),
        (lambda i: i.update({"user eve": dict(i["user bob"], uid=2050)}), [("accounts.new", "warning", "user eve")]),
        (lambda i: i.update({"user toor": dict(i["user root"])}), [("accounts.new", "blocker", "user toor")]),
        (
            lambda i: i.update({"user _new": dict(i["user www-data"], uid=997), "group _new": {"gid": 997, "members": []}}),
            [("accounts.system.new", "info", "system accounts")],
        ),
        (lambda i: i.update({"group staff2": {"gid": 4000, "members": []}}), [("accounts.group.new", "warning", "group staff2")]),
        (lambda i: i["sudoers"].update(valid=False, said="syntax error near line 3"), [("accounts.sudoers.broken", "blocker", "sudoers")]),
        (lambda i: i.pop("sudoers /etc/sudoers.d/hosting"), [("accounts.sudoers.missing", "blocker", "sudoers /etc/sudoers.d/hosting")]),
        (lambda i: i.pop("sudoers /etc/sudoers.d/README"), []),
        (lambda i: i["sudoers /etc/sudoers"]["rules"].append("Defaults use_pty"), [("accounts.sudoers.changed", "warning", "sudoers /etc/sudoers")]),
        (lambda i: i["sudoers /etc/sudoers"]["rules"].remove("root ALL=(ALL:ALL) ALL"), [("accounts.sudoers.changed", "blocker", "sudoers /etc/sudoers")]),
        (lambda i: i["sudoers /etc/sudoers.d/hosting"].update(mode="0644"), [("accounts.sudoers.changed", "warning", "sudoers /etc/sudoers.d/hosting")]),
    ],
)
def test_each_change_of_an_account_is_its_own_finding(step, expected):
    assert told(_compare.correlate(accounts.compare(take(), changed(take(), step)))) == expected


def test_a_lost_account_is_one_event():
    def lose(items):
        for subject in ("user alice", "group alice"):
            del items[subject]
        for subject in ("group team", "group www-data"):
            items[subject]["members"] = [m for m in items[subject]["members"] if m != "alice"]

    out = _compare.correlate(accounts.compare(take(), changed(take(), lose)))
    assert told(out) == [("accounts.missing", "blocker", "user alice")] and len(out[0].consequences) == 3
    assert "2001" in out[0].remedy


def test_another_lost_member_is_not_hidden_by_a_lost_account():
    def lose(items):
        del items["user alice"]
        items["group team"]["members"] = []

    assert sorted(told(_compare.correlate(accounts.compare(take(), changed(take(), lose))))) == [
        ("accounts.group.member.lost", "blocker", "bob in group team"),
        ("accounts.missing", "blocker", "user alice"),
    ]


def test_a_new_number_explains_whose_files_they_are_now_but_no_other_fault_in_the_home():
    out = accounts.compare(take(), changed(take(), edit("alice", uid=2099)))
    strangers = _compare.Finding(
        id="files.owner.identity", severity="blocker", subject="account alice", title="x", details=_compare.details("changed", paths=["/home/alice"])
    )
    blob = _compare.Finding(
        id="files.content.changed", severity="blocker", subject="/home/alice/photo", title="x", details=_compare.details("changed", paths=["/home/alice/photo"])
    )
    passwd = _compare.Finding(
        id="files.content.changed", severity="blocker", subject="/etc/passwd", title="x", details=_compare.details("changed", paths=["/etc/passwd"])
    )
    out = _compare.correlate([strangers, blob, passwd] + out)
    assert told(out) == [("accounts.uid.changed", "blocker", "user alice"), ("files.content.changed", "blocker", "/home/alice/photo")]
    assert [c["subject"] for c in out[0].consequences] == ["account alice", "/etc/passwd"]


def test_real_files_give_the_same_findings_as_edited_data():
    assert told(accounts.compare(take(), take(passwd=PASSWD.replace("alice:x:2001", "alice:x:2999")))) == [("accounts.uid.changed", "blocker", "user alice")]
    assert told(accounts.compare(take(), take(shadow=SHADOW.replace("hashA", "hashZ")))) == [("accounts.password.changed", "blocker", "user alice")]
    assert told(accounts.compare(take(), take(shadow=SHADOW.replace("alice:$y", "alice:!$y")))) == [("accounts.password.changed", "blocker", "user alice")]
    assert told(accounts.compare(take(), take(commands={"visudo -c": (1, "", "/etc/sudoers.d/hosting:1:9: syntax error")}))) == [
        ("accounts.sudoers.broken", "blocker", "sudoers")
    ]
    assert told(accounts.compare(take(), take(more={"/etc/sudoers": SUDOERS.replace("# This file", "# That file")}))) == []


def test_quotas():
    csv = "User,BlockStatus,FileStatus,BlockUsed,BlockSoftLimit,BlockHardLimit,BlockGrace,FileUsed,FileSoftLimit,FileHardLimit,FileGrace\n"
    csv += "root,ok,ok,20,0,0,,2,0,0,\nalice,ok,ok,%d,1000,2000,,5,0,%d,\n"
    mount = {"/proc/self/mountinfo": "25 22 254:16 / /home rw - ext4 /dev/vdb rw,usrquota\n26 22 0:5 / /proc rw - proc proc rw\n"}

    def quota(used, files):
        return take(more=mount, commands={"repquota -u -O csv /home": csv % (used, files)})

    assert quota(4, 9)["items"]["quota user alice on /home"] == {"blocks_soft": 1000, "blocks_hard": 2000, "files_soft": 0, "files_hard": 9}
    assert accounts.compare(quota(4, 9), quota(900, 9)) == []
    assert told(accounts.compare(quota(4, 9), quota(4, 5))) == [("accounts.quota.changed", "blocker", "quota user alice on /home")]
    assert told(accounts.compare(quota(4, 9), take(more=mount))) == [("accounts.quota.changed", "blocker", "quota user alice on /home")]


def test_shadow_that_cannot_be_read_is_said():
    system = host(more={"/etc/shadow": PermissionError(13, "Permission denied")})
    assert accounts.capture(system)["items"]["user alice"]["password"]["state"] == "unknown"
    assert system.unlooked[0]["what"] == "/etc/shadow"


def test_no_passwd_is_an_error():
    with pytest.raises(IntactError, match="/etc/passwd"):
        accounts.capture(FakeSystem())


def test_sudoers_without_sudo_and_a_ring_of_includes():
    assert _sudoers.capture(FakeSystem()) == {}
    ring = FakeSystem(files={"/etc/sudoers": "@include /etc/sudoers.local\n", "/etc/sudoers.local": "@include /etc/sudoers\nbob ALL=(#1000) ALL\n"})
    assert _sudoers.capture(ring)["sudoers /etc/sudoers.local"]["rules"] == ["bob ALL=(#1000) ALL"]


def test_a_new_system_group_explains_the_files_it_is_written_in():
    """Nothing but this told of /etc/group: it was a blocker beside a note (seen: Debian 13's group clock)."""

    def other(path, attribute="content"):
        return Finding(
            id="files.%s.changed" % attribute,
            severity="blocker",
            subject=path,
            title="",
            details={"change": "changed", "attribute": attribute, "paths": [path]},
        )

    new = changed(take(), lambda i: i.update({"group clock": {"gid": 997, "members": []}}))
    found = accounts.compare(take(), new) + [other("/etc/group"), other("/etc/gshadow", "mode"), other("/etc/hosts")]
    left = _compare.correlate(found)
    blockers = sorted((f.id, f.subject) for f in left if f.severity == "blocker")
    assert blockers == [("files.content.changed", "/etc/hosts"), ("files.mode.changed", "/etc/gshadow")]
    assert [c["subject"] for f in left if f.id == "accounts.system.new" for c in f.consequences] == ["/etc/group"]
    assert [f.severity for f in left if f.id == "accounts.system.new"] == ["info"]
