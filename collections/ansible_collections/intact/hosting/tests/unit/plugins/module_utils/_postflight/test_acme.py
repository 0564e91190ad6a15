# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Renewal of certificates: with the real certbot and dehydrated where they are, and with recorded hosts. No test asks an authority."""

from __future__ import annotations

import base64
import os
import shutil

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._postflight import _started, acme
from ansible_collections.intact.hosting.plugins.module_utils._postflight._context import Context
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

CONF = """# renew_before_expiry = 30 days
version = 2.1.0
cert = /etc/letsencrypt/live/shop.test/cert.pem
privkey = /etc/letsencrypt/live/shop.test/privkey.pem
[renewalparams]
account = 0a1b
authenticator = webroot
server = https://acme.test/directory
renew_hook = systemctl reload nginx
[[webroot_map]]
shop.test = /var/www/shop
"""
TIMERS = "Id=certbot.timer\nTriggers=certbot.service\nActiveState=%s\nUnitFileState=%s\nNextElapseUSecRealtime=%s\nNextElapseUSecMonotonic=%s\n"
ARMED = TIMERS % ("active", "enabled", "Tue 2026-11-24 06:11:00 UTC", "")
SERVICE = "Id=certbot.service\nLoadState=loaded\nExecStart={ path=/usr/bin/certbot ; argv[]=/usr/bin/certbot -q renew ; }\n"
PLUGINS = "- - -\n* standalone\nDescription: x\n\n* webroot\nDescription: y\n"
CRON = "0 */12 * * * root test -x /usr/bin/certbot -a \\! -d /run/systemd/system && certbot -q renew\n"


def host(conf=CONF, timers=ARMED, service=SERVICE, version=(0, "certbot 2.1.0\n"), plugins=PLUGINS, drop=(), stats=None, **files):
    given = {
        "/etc/letsencrypt/renewal/shop.test.conf": conf,
        "/etc/letsencrypt/archive/shop.test/cert1.pem": "x",
        "/etc/letsencrypt/accounts/acme.test/directory/0a1b/private_key.json": "{}",
        "/etc/letsencrypt/renewal-hooks/deploy/reload": "#!/bin/sh\n",
        "/etc/cron.d/certbot": CRON,
        "/var/www/shop/index.html": "x",
        "/run/systemd/system/x": "",
        "/usr/bin/certbot": "x",
    }
    given.update(files)
    links = {"/etc/letsencrypt/live/shop.test/%s.pem" % name: "../../archive/shop.test/cert1.pem" for name in ("cert", "privkey")}
    modes = {"/etc/letsencrypt/renewal-hooks/deploy/reload": {"mode": 0o755}, "/usr/bin/certbot": {"mode": 0o755}}
    modes.update(stats or {})
    return FakeSystem(
        commands={
            "systemctl show --all": timers,
            "systemctl show --no-pager": service,
            "/usr/bin/certbot --version": version,
            "/usr/bin/certbot plugins": plugins,
        },
        files={path: text for path, text in given.items() if path not in drop},
        links=links,
        stats={path: mode for path, mode in modes.items() if path not in drop},
    )


def told(**more):
    return [(f.id, f.subject) for f in acme.renewal(Context(host(**more), options={"scratch": "/scratch"}))]


def test_a_host_that_renews_raises_nothing_and_no_authority_is_asked():
    given = host()
    assert acme.renewal(Context(given, options={"scratch": "/scratch"})) == []
    assert [call for call in given.calls if "certbot" in call[0] and call[1] not in ("--version", "plugins")] == []
    assert acme.renewal(Context(FakeSystem())) == []


@pytest.mark.parametrize(
    "more, expected",
    [
        ({"timers": TIMERS % ("inactive", "disabled", "", "infinity")}, ("acme.unscheduled", "certbot")),
        ({"timers": TIMERS % ("active", "enabled", "", "infinity")}, ("acme.unscheduled", "certbot")),
        ({"timers": "", "service": ""}, ("acme.unscheduled", "certbot")),
        ({"service": SERVICE.replace("loaded", "not-found")}, ("acme.unscheduled", "certbot")),
        ({"version": (1, "", "Traceback (most recent call last):\nModuleNotFoundError: No module named 'certbot'")}, ("acme.client.broken", "certbot")),
        ({"stats": {"/usr/bin/certbot": {"mode": 0o777}}}, ("acme.client.untried", "certbot")),
        ({"conf": CONF.replace("systemctl reload nginx", "/usr/local/bin/deploy --all")}, ("acme.hook", "certbot: shop.test")),
        ({"conf": CONF.replace("= webroot", "= dns-cloudflare")}, ("acme.plugin", "certbot: shop.test")),
        ({"drop": ("/etc/letsencrypt/accounts/acme.test/directory/0a1b/private_key.json",)}, ("acme.account", "certbot: shop.test")),
        ({"drop": ("/var/www/shop/index.html",)}, ("acme.webroot", "certbot: shop.test")),
        ({"stats": {"/etc/letsencrypt/renewal-hooks/deploy/reload": {"mode": 0o644}}}, ("acme.hook", "/etc/letsencrypt/renewal-hooks/deploy/reload")),
    ],
)
def test_each_link_of_the_chain(more, expected):
    assert told(**more) == [expected]


def test_links_that_lead_nowhere():
    assert told(drop=("/etc/letsencrypt/archive/shop.test/cert1.pem",)) == [("acme.link", "certbot: shop.test")] * 2


def test_a_line_of_cron_counts_where_cron_runs_it():
    ours = {"/etc/cron.d/ours": "PATH=/usr/bin\n0 3 * * * root certbot renew -q\n", "timers": "", "service": ""}
    assert told(**ours) == []
    others = dict(ours)
    others["/etc/cron.d/ours"] = "# 0 3 * * * root certbot renew\n0 3 * * * root mycertbots renew\n"
    assert told(**others) == [("acme.unscheduled", "certbot")]
    without = host(timers="", drop=("/run/systemd/system/x",))
    assert acme.renewal(Context(without, options={"scratch": "/s"})) == [], "without systemd the package's own line runs"


def test_a_client_that_went_with_its_package():
    files = {"/etc/letsencrypt/renewal/shop.test.conf": CONF}
    found = acme.renewal(Context(FakeSystem(files=files)))
    assert [(f.id, f.severity, f.subject) for f in found] == [("acme.client.missing", "warning", "certbot")]


@pytest.fixture
def real(tmp_path, monkeypatch):
    """The real programs on a made-up /etc/letsencrypt; cron of this machine is not looked at."""
    if os.geteuid() != 0 or not shutil.which("certbot"):
        pytest.skip("needs root and certbot")
    (tmp_path / "le/renewal").mkdir(parents=True)
    (tmp_path / "web").mkdir()
    (tmp_path / "le/accounts/acme.test/directory/0a1b").mkdir(parents=True)
    (tmp_path / "le/accounts/acme.test/directory/0a1b/private_key.json").write_text("{}")
    conf = "account = 0a1b\nserver = https://acme.test/directory\nauthenticator = webroot\npre_hook = /bin/true\n[[webroot_map]]\nshop.test = %s\n"
    (tmp_path / "le/renewal/shop.test.conf").write_text("[renewalparams]\n" + conf % (tmp_path / "web"))
    (tmp_path / "cron").write_text("1 2 * * * root certbot renew\n")
    monkeypatch.setattr(acme, "LETSENCRYPT", str(tmp_path / "le"))
    monkeypatch.setattr(_started, "CRON", (str(tmp_path / "cron"),))
    monkeypatch.setattr(_started, "PARTS", ())
    (tmp_path / "scratch").mkdir()
    return tmp_path


def test_the_real_certbot(real):
    context = Context(System(), options={"scratch": str(real / "scratch")})
    assert acme.certbot(context) == []
    path = real / "le/renewal/shop.test.conf"
    path.write_text(path.read_text().replace("= webroot", "= dns-nowhere").replace("/bin/true", "/bin/no-such-hook"))
    assert sorted(f.id for f in acme.certbot(context)) == ["acme.hook", "acme.plugin"]
    (real / "cron").write_text("")
    assert "acme.unscheduled" in [f.id for f in acme.certbot(context)]


def test_a_real_client_whose_python_went_away(real):
    """What an upgrade does to a certbot that pip installed: the first line names a Python that is gone."""
    broken = real / "certbot"
    broken.write_text("#!/usr/bin/python3.0-gone\n")
    broken.chmod(0o755)

    class Broken(System):
        def which(self, program):
            return str(broken) if program == "certbot" else super().which(program)

    found = acme.certbot(Context(Broken(), options={"scratch": str(real / "scratch")}))
    assert [f.id for f in found] == ["acme.client.broken"]


def packed(command):
    return "__ACME_BASE64__START_%s__ACME_BASE64__END_" % base64.b64encode(command.encode()).decode()


def acme_host(reload="systemctl reload nginx", key="k", cron='7 0 * * * "/root/.acme.sh"/acme.sh --cron --home "/root/.acme.sh" > /dev/null\n', version=0):
    home = "/root/.acme.sh"
    return FakeSystem(
        commands={(home + "/acme.sh",): (version, "v3.0.7\n"), "systemctl show": ""},
        files={
            home + "/acme.sh": "#!/bin/sh",
            home + "/account.conf": "LOG=1\n",
            home + "/shop.test_ecc/shop.test.conf": "Le_Domain='shop.test'\nLe_ReloadCmd='%s'\n" % packed(reload),
            home + "/ca/acme.test/directory/account.key": key,
            "/var/spool/cron/crontabs/root": cron,
        },
    )


@pytest.mark.parametrize(
    "more, expected",
    [
        ({}, []),
        ({"reload": "/opt/gone.sh now"}, ["acme.hook"]),
        ({"reload": "cd /x && ./y"}, []),
        ({"key": ""}, ["acme.account"]),
        ({"cron": ""}, ["acme.unscheduled"]),
        ({"version": 1}, ["acme.client.broken"]),
    ],
)
def test_acme_sh(more, expected):
    assert [f.id for f in acme.renewal(Context(acme_host(**more)))] == expected


def small(client, directory, **more):
    files = {
        "/etc/cron.daily/renew": "#!/bin/sh\n%s -c\n" % client,
        directory + "/accounts/x/account_key.pem": "k",
        directory + "/certs/shop.test/cert.pem": "x",
    }
    files.update({directory + "/certificates/shop.test.crt": "x", directory + "/accounts/ca/me/keys/me.key": "k", "/usr/bin/" + client: "x"}, **more)
    return FakeSystem(commands={"/usr/bin/%s --version" % client: "1\n"}, files={path: text for path, text in files.items() if text is not None})


def test_dehydrated_and_lego():
    def look(host):
        return [f.id for f in acme.renewal(Context(host))]

    config = {"/etc/dehydrated/config": "#HOOK=x\nBASEDIR=/var/lib/dehydrated\n"}
    assert look(small("dehydrated", "/var/lib/dehydrated", **config)) == []
    hook = {"/etc/dehydrated/conf.d/own.sh": 'HOOK="${BASEDIR}/hook.sh"\n', "/etc/cron.daily/renew": None}
    assert look(small("dehydrated", "/var/lib/dehydrated", **dict(config, **hook))) == ["acme.unscheduled", "acme.hook"]
    assert look(small("lego", "/etc/lego")) == []
    line = {"/etc/cron.daily/renew": "lego --path /etc/lego renew --renew-hook '/opt/gone x'\n", "/etc/lego/accounts/ca/me/keys/me.key": ""}
    assert look(small("lego", "/etc/lego", **line)) == ["acme.hook", "acme.account"]


def test_the_real_dehydrated():
    if not shutil.which("dehydrated"):
        pytest.skip("needs dehydrated")
    program = shutil.which("dehydrated")
    assert acme._starts(System(), "dehydrated", program, [program, "--version"]) == []
