# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Sites: configuration of both servers, what is kept of an answer, and one finding for one event."""

from __future__ import annotations

import copy
import http.server
import threading

import pytest

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _compare, _http, _vhosts, _webconf, sites
from ansible_collections.intact.hosting.plugins.module_utils._system import System
from ansible_collections.intact.hosting.tests.unit.plugins.fake_system import FakeSystem

DUMP = """# configuration file /etc/nginx/nginx.conf:
user www-data;
http {
    root /var/www/html; # "quoted } in a comment"
    log_format main '$remote_addr "$request" {';
    include /etc/nginx/sites-enabled/*;
}
# configuration file /etc/nginx/sites-enabled/shop.test:
server {
    listen 80; listen [::]:80;
    listen 443 ssl http2; listen [::]:443 ssl;
    listen unix:/run/x.sock;
    server_name shop.test www.shop.test "~^old-.*";
    ssl_certificate /etc/ssl/shop.crt; ssl_certificate_key /etc/ssl/shop.key;
    include snippets/php.conf;
    location / { root /home/shop/www; }
}
# configuration file /etc/nginx/snippets/php.conf:
location ~ \\.php$ { fastcgi_pass unix:/run/php/php8.2-fpm.sock; }
# configuration file /etc/nginx/sites-enabled/default:
server { server_name _; listen 127.0.0.1:8080 default_server; }
"""


def test_nginx_dump_becomes_virtual_hosts():
    hosts = _webconf.nginx_vhosts(_webconf.nginx_tree(_webconf.nginx_files(DUMP), "/etc/nginx/nginx.conf"))
    default, shop = sorted(hosts, key=lambda h: h["config"])
    assert default["names"] == ["_"] and default["listen"] == [("127.0.0.1", 8080, False)] and default["root"] == "/var/www/html"
    assert shop["names"] == ["shop.test", "www.shop.test", "~^old-.*"]
    assert shop["listen"] == [("0.0.0.0", 80, False), ("0.0.0.0", 443, True), ("::", 80, False), ("::", 443, True)]
    assert shop["roots"] == ["/home/shop/www", "/var/www/html"] and shop["php"] is True and shop["key"] == "/etc/ssl/shop.key"


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        ("8080", ("0.0.0.0", 8080, False)),
        ("*:443 ssl", ("0.0.0.0", 443, True)),
        ("[::1]:81", ("::1", 81, False)),
        ("192.0.2.1", ("192.0.2.1", 80, False)),
        ("443 quic reuseport", None),
        ("unix:/run/nginx.sock", None),
    ],
)
def test_listen(words, expected):
    assert _webconf.nginx_listen(["listen"] + words.split()) == expected


def test_apache_dump_becomes_virtual_hosts():
    dump = """VirtualHost configuration:
*:80                   is a NameVirtualHost
         default server a.test (/etc/apache2/sites-enabled/a.conf:1)
         port 80 namevhost a.test (/etc/apache2/sites-enabled/a.conf:1)
                 alias www.a.test
192.0.2.1:443          b.test (/etc/apache2/sites-enabled/a.conf:6)
"""
    config = """<VirtualHost *:80>
  ServerName a.test
  ServerAlias www.a.test a.example
  DocumentRoot "/srv/a b"
</VirtualHost>
<VirtualHost 192.0.2.1:443>
  DocumentRoot /srv/b
  SSLEngine on
  SSLCertificateFile /etc/ssl/b.crt
</VirtualHost>
"""
    first, second = _webconf.apache_vhosts(dump, lambda path: config)
    assert first["names"] == ["a.test", "www.a.test", "a.example"] and first["root"] == "/srv/a b"
    assert first["listen"] == [("0.0.0.0", 80, False), ("::", 80, False)]
    assert second["listen"] == [("192.0.2.1", 443, True)] and second["certificate"] == "/etc/ssl/b.crt" and second["root"] == "/srv/b"


def test_discover_leaves_out_regular_expressions_and_says_so():
    system = FakeSystem({"nginx -T": DUMP}, links={"/etc/nginx/sites-enabled/shop.test": "../sites-available/shop.test"})
    found = _vhosts.discover(system)
    assert sorted(found) == ["_", "shop.test", "www.shop.test"]
    assert found["shop.test"]["config"] == ["/etc/nginx/sites-available/shop.test", "/etc/nginx/sites-enabled/shop.test"]
    assert [entry["what"] for entry in system.unlooked] == ["~^old-.* in /etc/nginx/sites-enabled/shop.test"]
    assert _vhosts.discover(FakeSystem()) is None


def test_a_configuration_that_nginx_refuses_is_still_read():
    files = {
        "/etc/nginx/nginx.conf": "http { include /etc/nginx/sites-enabled/*; }",
        "/etc/nginx/sites-enabled/a": "server { listen 80; server_name a.test; broken",
    }
    found = _vhosts.discover(FakeSystem({"nginx -T": (1, "", "emerg")}, files))
    assert list(found) == ["a.test"] and found["a.test"]["listen"] == [("0.0.0.0", 80, False)]


PAGE = """<html><head><title>Shop of Carol</title><meta name="generator" content="WordPress %(version)s" />
<link href="/style.css?ver=%(version)s"><script>var token = "%(token)s";</script></head>
<body><!-- cached %(token)s --><form><input type="hidden" name="sectok" value="%(token)s"></form>
<p>Bread &amp; butter</p><p>%(text)s</p><footer>%(queries)s queries, generated in 0.%(queries)s seconds</footer></body></html>"""


def look(text="fresh", token="abc", version="6.1", queries="12", status=200, kind="text/html; charset=utf-8"):
    body = (PAGE % {"version": version, "token": token, "text": text, "queries": queries}).encode()
    return _http.describe(status, {"content-type": kind}, body, _http.rules())


def test_tokens_versions_and_times_are_normal():
    one, two = look(), look(token="xyz", version="6.8", queries="99")
    assert one == two
    assert one["title"] == "Shop of Carol" and one["words"].startswith("Shop of Carol Bread & butter fresh")


def test_another_text_or_markup_is_seen():
    assert look()["text"] != look(text="stale")["text"]
    other = _http.describe(200, {"content-type": "text/html"}, b"<html><p class=a>x</p></html>", _http.rules())
    again = _http.describe(200, {"content-type": "text/html"}, b"<html><p class=b>x</p></html>", _http.rules())
    assert other["text"] == again["text"] and other["markup"] != again["markup"]
    image = _http.describe(200, {"content-type": "image/png"}, b"\x89PNG", _http.rules())
    assert image["text"] != _http.describe(200, {"content-type": "image/png"}, b"\x89PNH", _http.rules())["text"]


def test_operators_rule_is_applied():
    rules = _http.rules([{"pattern": r"visitor \d+", "replace": "visitor", "reason": "a counter"}])
    pages = [_http.describe(200, {"content-type": "text/html"}, b"<p>visitor %d</p>" % n, rules) for n in (1, 2)]
    assert pages[0] == pages[1]


class Handler(http.server.BaseHTTPRequestHandler):
    """Two names on one address; shop redirects within itself, counter is different each time."""

    hits = 0
    content = "fresh"

    def do_GET(self):
        Handler.hits += 1
        name, body, status = self.headers["Host"].split(":")[0], "", 200
        if name == "shop.test" and self.path == "/":
            status = 302
        elif name == "shop.test":
            body = PAGE % {"version": 1, "token": Handler.hits, "text": Handler.content, "queries": Handler.hits}
        else:
            body = "<title>Counter</title><p>steady</p><p>also steady</p><p>visitor number %d</p>" % Handler.hits
        self.send_response(status)
        if status == 302:
            self.send_header("Location", "/start?id=1")
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(body.encode())

    def log_message(self, *args):
        """Quiet."""


@pytest.fixture
def served():
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    Handler.content = "fresh"
    threading.Thread(target=server.serve_forever, daemon=True).start()
    port = server.server_address[1]
    dump = (
        "# configuration file /etc/nginx/nginx.conf:\nhttp { server { listen 127.0.0.1:%d; server_name shop.test; }"
        " server { listen 127.0.0.1:%d; server_name counter.test; } }\n" % (port, port)
    )

    class Host(FakeSystem):
        """Recorded configuration, real sockets."""

        dial = System.dial

    yield lambda: sites.capture(Host({"nginx -T": dump}))
    server.shutdown()
    server.server_close()


def test_capture_follows_within_the_site_and_is_repeatable(served):
    one, two = served(), served()
    ((label, answer),) = one["items"]["shop.test"]["answers"].items()
    assert label.startswith("http:") and label.endswith("IPv4 /")
    assert answer["status"] == 200 and answer["chain"] == ["302 /start?id=1"] and answer["title"] == "Shop of Carol"
    assert sites.compare(one, two) == []


def test_changed_content_is_one_finding_and_a_counter_is_none(served):
    before = served()
    Handler.content = "stale bread"
    found = sites.compare(before, served())
    assert [(f.id, f.subject) for f in found] == [("sites.body.changed", "shop.test")]


def test_a_server_that_is_gone(served):
    before = served()
    after = copy.deepcopy(before)
    for item in after["items"].values():
        for label in item["answers"]:
            item["answers"][label] = {"error": "Connection refused"}
    assert [(f.id, f.subject) for f in sites.compare(before, after)] == [("sites.unanswered", "counter.test"), ("sites.unanswered", "shop.test")]


def site(**answers):
    labels = {"a4": "http IPv4 /", "a6": "http IPv6 /", "s4": "https IPv4 /", "s6": "https IPv6 /"}
    return {
        "server": "nginx",
        "host": "shop.test",
        "config": ["/etc/nginx/sites-enabled/shop.test"],
        "roots": ["/home/shop/www"],
        "php": True,
        "databases": ["shop"],
        "listen": ["0.0.0.0:80", "0.0.0.0:443", "[::]:80", "[::]:443"],
        "answers": {labels[k]: v for k, v in answers.items()},
    }


GOOD = look()
OTHER = _http.describe(200, {"content-type": "text/html"}, b"<title>Welcome to nginx</title><p>It works</p>", _http.rules())
DEAD = {"error": "Connection refused"}


@pytest.mark.parametrize(
    ("after", "expected", "words"),
    [
        (site(a4=GOOD, a6=GOOD, s4=GOOD, s6=GOOD), None, ""),
        (site(a4=OTHER, a6=OTHER, s4=OTHER, s6=OTHER), "sites.body.changed", "was 200 'Shop of Carol', is 200 'Welcome to nginx'"),
        (site(a4=DEAD, a6=DEAD, s4=DEAD, s6=DEAD), "sites.unanswered", "Connection refused"),
        (site(a4=GOOD, a6=DEAD, s4=GOOD, s6=DEAD), "sites.ipv6.lost", "IPv6"),
        (site(a4=GOOD, a6=GOOD, s4=GOOD, s6=OTHER), "sites.body.changed", "https IPv6"),
        (site(a4=GOOD, a6=GOOD, s4=dict(GOOD, status=502), s6=dict(GOOD, status=502)), "sites.status.changed", "502"),
        (site(a4=dict(GOOD, chain=["301 https://evil.test/"]), a6=GOOD, s4=GOOD, s6=GOOD), "sites.redirect.changed", "evil.test"),
        (site(a4=GOOD, s4=GOOD), "sites.ipv6.lost", "no longer configured"),
        (site(a4=GOOD, a6=GOOD), "sites.listen.changed", "no longer configured"),
        (site(a4=dict(GOOD, markup="x"), a6=GOOD, s4=GOOD, s6=GOOD), "sites.markup.changed", "same text"),
    ],
)
def test_one_finding_for_one_site(after, expected, words):
    found = sites.compare({"items": {"shop.test": site(a4=GOOD, a6=GOOD, s4=GOOD, s6=GOOD)}}, {"items": {"shop.test": after}})
    assert [f.id for f in found] == ([expected] if expected else [])
    for finding in found:
        assert finding.subject == "shop.test" and words in finding.evidence


ILL = _http.describe(500, {"content-type": "text/html"}, b"<title>Error</title><p>no database</p>", _http.rules())


@pytest.mark.parametrize(
    ("was", "now", "expected"),
    [
        (DEAD, DEAD, [("sites.unanswered.before", "warning")]),
        (DEAD, {"error": "no answer in time"}, [("sites.unanswered.before", "warning")]),
        (ILL, ILL, [("sites.unanswered.before", "warning")]),
        (ILL, dict(ILL, type="text/plain"), [("sites.unanswered.before", "warning")]),
        (ILL, dict(ILL, text="x"), [("sites.body.changed", "blocker")]),
        (dict(GOOD, status=404), dict(GOOD, status=404), []),
        (DEAD, GOOD, [("sites.recovered", "info")]),
        (DEAD, ILL, [("sites.unanswered.before", "warning")]),
    ],
)
def test_a_site_that_did_not_work_before_either_is_said(was, now, expected):
    found = sites.compare({"items": {"shop.test": site(a4=was, a6=GOOD)}}, {"items": {"shop.test": site(a4=now, a6=GOOD)}})
    assert [(f.id, f.severity) for f in found] == expected


def test_a_site_that_did_not_work_hides_no_page_that_is_lost_now():
    (finding,) = sites.compare({"items": {"shop.test": site(a4=DEAD, a6=GOOD)}}, {"items": {"shop.test": site(a4=DEAD, a6=OTHER)}})
    assert (finding.id, finding.severity, finding.details["change"]) == ("sites.body.changed", "blocker", "changed")


def test_names_of_one_virtual_host_are_one_site():
    good, bad = site(a4=GOOD), site(a4=OTHER)
    found = sites.compare({"items": {"shop.test": good, "www.shop.test": good}}, {"items": {"shop.test": bad, "www.shop.test": bad}})
    assert [f.subject for f in found] == ["shop.test"] and "the same for www.shop.test" in found[0].evidence


def test_a_site_that_is_no_longer_configured_and_one_that_is_new():
    found = sites.compare({"items": {"a.test": dict(site(a4=GOOD), host="a.test")}}, {"items": {"b.test": dict(site(a4=GOOD), host="b.test")}})
    assert [(f.id, f.severity, f.subject) for f in found] == [("sites.missing", "blocker", "a.test"), ("sites.new", "warning", "b.test")]


def test_causes_and_consequences():
    (broken,) = sites.compare({"items": {"shop.test": site(a4=GOOD)}}, {"items": {"shop.test": site(a4=OTHER)}})
    for path in ("/home", "/etc/nginx/sites-enabled/shop.test", "service:nginx.service", "database:shop", "socket:0.0.0.0:80"):
        assert _compare.covered({"section": "*", "path": path}, broken), path
    assert not _compare.covered({"section": "*", "path": "socket:[::]:80"}, broken)
    assert {"section": "files", "path": "/home/shop/www/index.html"} in broken.covers
