# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Services and sockets, from output recorded on Debian 11, 12 and 13."""

from __future__ import annotations

import json

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _allowed, _compare, _dependants, services, sockets
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem
from ansible_collections.intact.hosting.tests.unit.plugins.module_utils._baseline.recorded import HOSTS, changed, recorded, told

WANTS = "/etc/systemd/system/multi-user.target.wants/"


def units(host, files=None, links=("nginx.service", "cron.service"), extra=""):
    return services.capture(
        FakeSystem(
            commands={"systemctl list-unit-files": files or recorded(host, "unit-files.json"), "systemctl show": recorded(host, "units.txt") + extra},
            links={WANTS + name: "/lib/systemd/system/" + name for name in links},
        )
    )


def listeners(host, files=None, text=None, options=None):
    given = {"/proc/sys/net/ipv4/ip_local_port_range": "32768\t60999\n"}
    return sockets.capture(
        FakeSystem(commands={"ss -H -l -n -t -u -p -e": text or recorded(host, "ss.txt")}, files=dict(given, **(files or {})), options=options)
    )


def test_the_package_that_brought_a_unit():
    system = FakeSystem(
        commands={
            "systemctl list-unit-files": json.dumps(
                [{"unit_file": name, "state": "enabled"} for name in ("nginx.service", "postfix@-.service", "old.service", "mine.service")]
            ),
            "systemctl show": "",
        },
        files={
            "/var/lib/dpkg/info/nginx.list": "/lib/systemd/system/nginx.service\n/etc/init.d/nginx\n",
            "/var/lib/dpkg/info/postfix:amd64.list": "/usr/lib/systemd/system/postfix@.service\n/lib/systemd/system/x.wants/mine.service\n",
            "/var/lib/dpkg/info/older.list": "/etc/init.d/old\n",
        },
    )
    found = services.capture(system)["items"]
    assert {name: item["package"] for name, item in found.items()} == {
        "nginx.service": "nginx",
        "postfix@-.service": "postfix",
        "old.service": "older",
        "mine.service": "",
    }


@pytest.mark.parametrize("host", HOSTS)
def test_recorded_units(host):
    data = units(host)
    assert (
        data["items"]["ssh.service"]["enabled"] == "enabled" and data["items"]["ssh.service"]["active"] == "active" and data["items"]["ssh.service"]["watched"]
    )
    assert data["items"]["apt-daily.timer"]["active"] == "active"
    # templates, aliases, log-ins and units that do not exist are no jobs of this host
    assert not [name for name in data["items"] if "@." in name or name.startswith(("getty@", "user@", "session-", "dbus-org."))]
    assert services.compare(data, units(host)) == []
    assert data["summary"]["failed"] == 0 and data["summary"]["running"] > 10


def test_what_ends_its_work_or_comes_on_demand_is_not_watched():
    items = units("web1-bookworm")["items"]
    assert items["nginx.service"]["links"] == [WANTS + "nginx.service"]
    for name in ("systemd-remount-fs.service", "systemd-tmpfiles-setup.service", "apt-daily.service"):
        assert not items[name]["watched"], name
    for name in ("postfix@-.service", "postgresql@15-main.service", "nginx.service", "logrotate.timer", "php8.2-fpm.service"):
        assert items[name]["watched"], name


@pytest.mark.parametrize(
    "step, expected",
    [
        (lambda i: i["nginx.service"].update(active="inactive"), [("services.active.changed", "blocker", "nginx.service")]),
        (lambda i: i["nginx.service"].update(enabled="disabled", links=[]), [("services.enabled.changed", "blocker", "nginx.service")]),
        (lambda i: i["nginx.service"].update(enabled="masked"), [("services.enabled.changed", "blocker", "nginx.service")]),
        (lambda i: i["nginx.service"].update(enabled="static"), []),
        (lambda i: i["nginx.service"].update(enabled="disabled", active="inactive"), [("services.active.changed", "blocker", "nginx.service")]),
        (lambda i: i["nginx.service"].update(active="failed", result="exit-code, exit status 1"), [("services.failed", "blocker", "nginx.service")]),
        (lambda i: i["nginx.service"].update(active="activating"), [("services.active.changed", "blocker", "nginx.service")]),
        (lambda i: i.pop("nginx.service"), [("services.missing", "blocker", "nginx.service")]),
        (lambda i: i["logrotate.timer"].update(active="inactive"), [("services.active.changed", "blocker", "logrotate.timer")]),
        (lambda i: i["systemd-tmpfiles-setup.service"].update(active="inactive"), []),
        (lambda i: i["apt-daily.service"].update(active="active"), []),
        (lambda i: i["apt-daily.service"].update(active="failed"), [("services.failed", "blocker", "apt-daily.service")]),
        (lambda i: i.pop("systemd-initctl.socket"), [("services.missing", "blocker", "systemd-initctl.socket")]),
        (lambda i: i.pop("dbus.service"), [("services.missing", "blocker", "dbus.service")]),
        (lambda i: i.pop("systemd-journald.service"), [("services.missing", "blocker", "systemd-journald.service")]),
        (lambda i: i.pop("systemd-tmpfiles-setup.service"), []),
        (lambda i: i["debug-shell.service"].update(enabled="enabled"), [("services.enabled.changed", "warning", "debug-shell.service")]),
        (lambda i: i["cryptdisks.service"].update(enabled="disabled"), [("services.enabled.changed", "warning", "cryptdisks.service")]),
        (lambda i: i.update({"new.service": dict(i["nginx.service"])}), []),
        (lambda i: i.update({"mine.service": dict(i["nginx.service"], local=True)}), [("services.new", "warning", "mine.service")]),
        (lambda i: i.update({"new.service": dict(i["nginx.service"], active="failed")}), [("services.failed", "blocker", "new.service")]),
    ],
)
def test_each_change_of_a_unit_is_its_own_finding(step, expected):
    data = units("web1-bookworm")
    assert told(services.compare(data, changed(data, step))) == expected


@pytest.mark.parametrize(
    "unit, was, now, expected",
    [
        ("nginx.service", "failed", "failed", "warning"),
        ("nginx.service", "failed", "inactive", "warning"),
        ("nginx.service", "activating", "activating", "warning"),
        ("nginx.service", "activating", "inactive", "warning"),
        ("nginx.service", "failed", "active", None),
        # one that ends its work: it may have ended it since, and nobody asked for it
        ("apt-daily.service", "failed", "inactive", None),
        ("apt-daily.service", "activating", "activating", None),
        ("apt-daily.service", "failed", "failed", "info"),
    ],
)
def test_a_unit_that_did_not_run_before_either(unit, was, now, expected):
    before, after = (changed(units("web1-bookworm"), lambda i, state=state: i[unit].update(active=state)) for state in (was, now))
    assert told(services.compare(before, after)) == ([("services.failed.before", expected, unit)] if expected else [])


def test_what_is_as_bad_as_before_explains_nothing_that_happened_and_no_rule_takes_it_by_the_way():
    data, heard = units("web1-bookworm"), listeners("web1-bookworm")
    dead = changed(data, lambda i: i["nginx.service"].update(active="failed"))
    (still,) = services.compare(dead, dead)
    paths = ["service:nginx.service"]
    lost = _compare.Finding(id="sites.unanswered", severity="blocker", subject="a.example", title="x", details=_compare.details("changed", paths=paths))
    same = _compare.Finding(id="sites.unanswered.before", severity="warning", subject="b.example", title="x", details=_compare.details("still", paths=paths))
    out = _compare.correlate([still, lost, same])
    assert told(out) == [("services.failed.before", "warning", "nginx.service"), ("sites.unanswered", "blocker", "a.example")]
    assert [c["subject"] for c in out[0].consequences] == ["b.example"]
    (stopped,) = services.compare(data, changed(data, lambda i: i["nginx.service"].update(active="inactive")))
    assert [f.subject for f in _compare.correlate([stopped, same])] == ["nginx.service", "b.example"] and heard
    assert not _allowed.allows({"section": "services", "subject": "nginx.service", "reason": "x"}, still)
    assert _allowed.allows({"section": "services", "subject": "nginx.service", "change": "still", "reason": "x"}, still)


def test_running_though_not_enabled_is_a_warning():
    before = changed(units("web1-bookworm"), lambda i: i["nginx.service"].update(enabled="disabled"))
    after = changed(before, lambda i: i["nginx.service"].update(active="inactive"))
    out = services.compare(before, after)
    assert told(out) == [("services.active.changed", "warning", "nginx.service")] and "not started at boot" in out[0].title


def test_a_stopped_web_server_explains_its_listeners_and_its_sites():
    data, heard = units("web1-bookworm"), listeners("web1-bookworm")
    quiet = changed(heard, lambda i: [i.pop(name) for name in list(i) if name.endswith(" nginx")])
    stopped = changed(data, lambda i: i["nginx.service"].update(active="inactive", enabled="disabled", links=[]))
    silent = _compare.Finding(
        id="sites.answer.missing", severity="blocker", subject="a.example", title="x", details=_compare.details("changed", paths=["service:nginx.service"])
    )
    out = _compare.correlate(services.compare(data, stopped) + sockets.compare(heard, quiet) + [silent])
    assert told(out) == [("services.active.changed", "blocker", "nginx.service")]
    assert sorted(c["subject"] for c in out[0].consequences) == ["a.example", "tcp 0.0.0.0:443 nginx", "tcp 0.0.0.0:80 nginx"]
    assert {"section": "files", "path": WANTS + "nginx.service"} in out[0].covers


def test_a_unit_and_its_instance_are_one_event():
    data, heard = units("web1-bookworm"), listeners("web1-bookworm", PROC)
    stopped = changed(data, lambda i: [i[name].update(active="inactive") for name in ("postfix.service", "postfix@-.service")])
    quiet = changed(heard, lambda i: [i.pop(name) for name in list(i) if name.endswith(" master")])
    out = _compare.correlate(services.compare(data, stopped) + sockets.compare(heard, quiet))
    assert told(out) == [("services.active.changed", "blocker", "postfix.service")]
    assert sorted(c["subject"] for c in out[0].consequences) == ["postfix@-.service", "tcp 0.0.0.0:25 master", "tcp 0.0.0.0:587 master"]


def test_disabling_explains_the_init_links():
    data = units("web1-bookworm")
    out = services.compare(data, changed(data, lambda i: i["nginx.service"].update(enabled="disabled", links=[])))
    link = _compare.Finding(id="files.missing", severity="blocker", subject="/etc/rc3.d/S01nginx", title="x", details=_compare.details("missing"))
    other = _compare.Finding(id="files.missing", severity="blocker", subject="/etc/rc3.d/S01cron", title="x", details=_compare.details("missing"))
    assert [f.subject for f in _compare.correlate([link, other] + out)] == ["nginx.service", "/etc/rc3.d/S01cron"]


def test_a_running_but_disabled_daemon_explains_no_silence():
    data = units("web1-bookworm")
    out = services.compare(data, changed(data, lambda i: i["nginx.service"].update(enabled="disabled")))
    assert not [c for c in out[0].covers if c["section"] in ("sites", "sockets", "tls")]


def test_systemd_that_gives_no_answer_is_an_error_and_none_is_absent():
    with pytest.raises(IntactError, match="systemd gives no answer"):
        services.capture(FakeSystem(commands={"systemctl": (1, "", "Failed to connect to bus")}))
    assert services.capture(FakeSystem()) is None


def test_old_systemd_without_json():
    rows = "".join("%s %s %s\n" % (e["unit_file"], e["state"], "enabled") for e in json.loads(recorded("web1-bookworm", "unit-files.json")))
    assert units("web1-bookworm", files=rows) == units("web1-bookworm")


def test_what_a_stopped_daemon_explains():
    def names(ident, *paths, **found):
        return _compare.Finding(
            id=ident, severity="blocker", subject="x (after)", title="x", details=_compare.details(found.get("change", "changed"), paths=list(paths))
        )

    def explained(unit, finding):
        return any(_compare.covered(entry, finding) for entry in _dependants.dependants(unit))

    assert explained("php8.4-fpm.service", names("sites.body.changed", "service:php-fpm"))
    assert explained("nginx.service", names("sites.unanswered", "service:nginx.service"))
    assert not explained("nginx.service", names("sites.unanswered", "service:apache2.service"))
    assert not explained("nginx.service", names("sites.body.changed", "/srv/a"))
    assert explained("postgresql@15-main.service", names("databases.missing", "service:postgresql"))
    assert explained("mariadb.service", names("databases.unread", change="unread"))
    assert not explained("cron.service", names("databases.unread", change="unread"))


# What ss does not tell about other users' processes: /proc does.
PROC = {}
for _pid, _parent, _name, _unit in (
    (300, 1, "named", "named.service"),
    (301, 300, "helper", "named.service"),
    (400, 1, "master", "system-postfix.slice/postfix@-.service"),
    (500, 1, "postgres", "system-postgresql.slice/postgresql@15-main.service"),
    (600, 1, "mariadbd", "mariadb.service"),
    (700, 1, "python3.11", "mailman3.service"),
):
    PROC["/proc/%d/cgroup" % _pid] = "12:cpu:/docker/1\n0::/system.slice/%s\n" % _unit
    PROC["/proc/%d/stat" % _pid] = "%d (%s) S %d 1 1 0\n" % (_pid, _name, _parent)


def test_recorded_listeners_of_a_hosting_server():
    items = listeners("web1-bookworm", PROC)["items"]
    assert {
        "tcp 0.0.0.0:443 nginx",
        "tcp [::]:443 nginx",
        "tcp 0.0.0.0:587 master",
        "tcp 127.0.0.1:53 named",
        "udp [::1]:53 named",
        "tcp 0.0.0.0:3306 mariadbd",
        "tcp [::]:5432 postgres",
        "tcp 127.0.0.1:953 named",
        "tcp [fe80::%eth0]:53 named",
    } <= set(items)
    # the engine's name server listens on a port that is new at each start and belongs to no process here
    assert not [name for name in items if "127.0.0.11" in name]
    assert items["tcp 0.0.0.0:3306 mariadbd"] == {"proto": "tcp", "address": "0.0.0.0", "port": 3306, "program": "mariadbd", "unit": "mariadb.service"}


@pytest.mark.parametrize("host", HOSTS)
def test_the_same_listeners_are_no_finding(host):
    assert "tcp 0.0.0.0:22 sshd" in listeners(host)["items"]
    assert sockets.compare(listeners(host), listeners(host)) == []


def with_item(name, address, port, program):
    return lambda i: i.update({name: {"proto": "tcp", "address": address, "port": port, "program": program, "unit": ""}})


@pytest.mark.parametrize(
    "steps, expected",
    [
        ([lambda i: i.pop("tcp 127.0.0.1:53 named")], [("sockets.missing", "blocker", "tcp 127.0.0.1:53 named")]),
        ([with_item("tcp 0.0.0.0:31337 x", "0.0.0.0", 31337, "x")], [("sockets.new", "warning", "tcp 0.0.0.0:31337 x")]),
        ([lambda i: i.pop("tcp [::]:443 nginx")], [("sockets.ipv6.lost", "blocker", "tcp [::]:443 nginx")]),
        ([lambda i: i.pop("tcp 0.0.0.0:443 nginx")], [("sockets.ipv4.lost", "blocker", "tcp 0.0.0.0:443 nginx")]),
        (
            [lambda i: i.pop("tcp 0.0.0.0:80 nginx"), with_item("tcp 0.0.0.0:80 apache2", "0.0.0.0", 80, "apache2")],
            [("sockets.program.changed", "blocker", "tcp 0.0.0.0:80 nginx")],
        ),
        (
            [lambda i: i.pop("tcp 127.0.0.1:953 named"), with_item("tcp 0.0.0.0:953 named", "0.0.0.0", 953, "named")],
            [("sockets.address.changed", "blocker", "tcp 127.0.0.1:953 named")],
        ),
    ],
)
def test_each_change_of_a_listener_is_its_own_finding(steps, expected):
    data = listeners("web1-bookworm", PROC)
    assert told(sockets.compare(data, changed(data, *steps))) == expected


def test_one_event_on_several_sockets_is_one_finding():
    data = listeners("web1-bookworm", PROC)

    def judged(*steps):
        return sockets.compare(data, changed(data, *steps))

    def lose(*subjects):
        return lambda i: [i.pop(subject) for subject in subjects]

    both = judged(lose("tcp 0.0.0.0:587 master", "tcp [::]:587 master"))
    assert told(both) == [("sockets.missing", "blocker", "tcp 0.0.0.0:587 master")] and "tcp [::]:587 master" in both[0].evidence
    assert {"section": "*", "path": "socket:[::]:587"} in both[0].covers
    family = judged(lose("tcp [::]:443 nginx", "tcp [::]:80 nginx"))
    assert told(family) == [("sockets.ipv6.lost", "blocker", "tcp [::]:80 nginx")] and "[::]:443" in family[0].evidence
    two = judged(lose("tcp [::]:443 nginx", "tcp [::]:25 master"))
    assert told(two) == [("sockets.ipv6.lost", "blocker", "tcp [::]:25 master"), ("sockets.ipv6.lost", "blocker", "tcp [::]:443 nginx")]
    ports = judged(lose("tcp 0.0.0.0:25 master", "tcp [::]:25 master", "tcp 0.0.0.0:587 master", "tcp [::]:587 master"))
    assert told(ports) == [("sockets.missing", "blocker", "tcp 0.0.0.0:25 master"), ("sockets.missing", "blocker", "tcp 0.0.0.0:587 master")]
    opened = judged(with_item("tcp 0.0.0.0:9 x", "0.0.0.0", 9, "x"), with_item("tcp [::]:9 x", "::", 9, "x"))
    assert told(opened) == [("sockets.new", "warning", "tcp 0.0.0.0:9 x")]


def test_one_socket_for_both_families_is_the_same_as_two():
    one = listeners("x", text='tcp LISTEN 0 511 *:80 *:* users:(("nginx",pid=9,fd=6)) ino:1 sk:1 cgroup:/system.slice/nginx.service v6only:0 <->\n')
    two = listeners(
        "x",
        text="".join('tcp LISTEN 0 511 %s:80 0.0.0.0:* users:(("nginx",pid=9,fd=6)) cgroup:/system.slice/nginx.service <->\n' % a for a in ("0.0.0.0", "[::]")),
    )
    assert one == two and sorted(one["items"]) == ["tcp 0.0.0.0:80 nginx", "tcp [::]:80 nginx"]


def test_ports_of_questions_are_left_out_unless_named():
    text = 'udp UNCONN 0 0 0.0.0.0:%d 0.0.0.0:* users:(("openvpn",pid=9,fd=6)) cgroup:/system.slice/vpn.service <->\n'
    assert listeners("x", text=text % 51194)["items"] == {}
    assert sorted(listeners("x", text=text % 51194, options={"udp_ports": [51194]})["items"]) == ["udp 0.0.0.0:51194 openvpn"]
    assert sorted(listeners("x", text=text % 1194)["items"]) == ["udp 0.0.0.0:1194 openvpn"]
    kernel = "udp UNCONN 0 0 0.0.0.0:51820 0.0.0.0:* ino:1 sk:1 cgroup:/ <->\n"
    assert sorted(listeners("x", text=kernel)["items"]) == ["udp 0.0.0.0:51820 (kernel)"]


@pytest.mark.parametrize(
    "name, bare", [("python3.11", "python"), ("php-fpm8.2", "php-fpm"), ("nginx", "nginx"), ("log4j2", "log4j2"), ("python3", "python"), ("ruby3.1", "ruby")]
)
def test_versions_in_names_do_not_count(name, bare):
    assert sockets.stem(name) == bare


def test_a_listener_that_systemd_holds():
    text = 'tcp LISTEN 0 4096 *:22 *:* users:(("sshd",pid=77,fd=3),("systemd",pid=1,fd=50)) cgroup:/system.slice/ssh.socket v6only:0 <->\n'
    assert sorted(listeners("x", text=text)["items"]) == ["tcp 0.0.0.0:22 sshd", "tcp [::]:22 sshd"]


def test_a_listener_that_systemd_now_holds_for_the_same_service_is_no_finding():
    before = listeners("x", text='tcp LISTEN 0 80 0.0.0.0:3306 0.0.0.0:* users:(("mariadbd",pid=7,fd=3)) cgroup:/system.slice/mariadb.service <->\n')
    after = listeners("x", text='tcp LISTEN 0 80 0.0.0.0:3306 0.0.0.0:* users:(("systemd",pid=1,fd=3)) cgroup:/system.slice/mariadb.socket <->\n')
    other = listeners("x", text='tcp LISTEN 0 80 0.0.0.0:3306 0.0.0.0:* users:(("systemd",pid=1,fd=3)) cgroup:/system.slice/other.socket <->\n')
    for then, now in ((before, after), (after, before)):
        assert sockets.compare(then, now) == []
    assert told(sockets.compare(before, other)) == [("sockets.program.changed", "blocker", "tcp 0.0.0.0:3306 mariadbd")]
