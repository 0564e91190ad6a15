# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Which sites this host serves: virtual hosts of nginx and Apache, put together by name. Shared by the sites and tls probes."""

from __future__ import annotations

import posixpath

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _webconf
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError

MAIN = "/etc/nginx/nginx.conf"


def discover(system):
    """{name: site} or None when neither server is installed.

    site: {server, names asked for it, listen [(address, port, tls)], config [files], roots, certificate, key, php}. Wildcards are asked
    as intact.<domain>, a catch-all host as "_"; names that are regular expressions are left out (recorded with skip()).
    """
    hosts, present = [], False
    if system.which("nginx"):
        present = True
        hosts += _nginx(system)
    if system.which("apache2ctl") or system.which("apachectl"):
        present = True
        hosts += _apache(system)
    if not present:
        return None
    sites = {}
    for host in hosts:
        names = [n for n in host["names"] if n not in ("_", "", "localhost", "_default_", "*")]
        for name in names or ["_"]:
            if name.startswith("~"):
                system.skip("%s in %s" % (name, host["config"]), "the name is a regular expression: name its hosts in the option names")
                continue
            site = sites.setdefault(
                name,
                {"server": host["server"], "listen": set(), "config": set(), "roots": set(), "certificate": "", "key": "", "php": False, "first": _first(host)},
            )
            site["listen"].update(tuple(entry) for entry in host["listen"])
            site["config"].add(host["config"])
            site["roots"].update(host["roots"])
            site["php"] = site["php"] or host["php"]
            if any(entry[2] for entry in host["listen"]):
                site["certificate"], site["key"] = site["certificate"] or host["certificate"], site["key"] or host["key"]
    for site in sites.values():
        site["config"] = sorted(site["config"] | {system.realpath(path) for path in site["config"]})
        site["roots"] = sorted(site["roots"])
        site["listen"] = sorted(site["listen"])
    return sites


def _first(host):
    """The name that stands for all names of a virtual host: the one its file is called after, or else the first."""
    file = posixpath.basename(host["config"])
    names = host["names"] or ["_"]
    return next((n for n in names if file in (n, n + ".conf", n + ".vhost")), names[0])


def _nginx(system):
    result = system.run(["nginx", "-T"], timeout=60, check=False)
    files = _webconf.nginx_files(result.text) if result.rc == 0 else {}
    if MAIN not in files and system.exists(MAIN):
        # a configuration that nginx refuses is read as well as can be: its sites are still the customers'
        paths = [MAIN] + [
            p for d in ("conf.d/*.conf", "sites-enabled/*", "snippets/*", "modules-enabled/*") for p in system.glob(posixpath.join("/etc/nginx", d))
        ]
        files = {path: system.text(path) for path in paths}
    main = MAIN if MAIN in files else next(iter(files), MAIN)
    return _webconf.nginx_vhosts(_webconf.nginx_tree(files, main))


def _apache(system):
    program = "apache2ctl" if system.which("apache2ctl") else "apachectl"
    result = system.run([program, "-t", "-D", "DUMP_VHOSTS"], timeout=60, check=False)
    if result.rc != 0:
        raise IntactError("Apache refuses its configuration: %s" % (result.error.splitlines() or [result.text.strip()])[-1])
    return _webconf.apache_vhosts(result.text, system.text)


def asked(name):
    """The name to send for a site: a wildcard and the catch-all host need one that nobody else has."""
    if name == "_":
        return "intact-unknown-host.invalid"
    return name.replace("*", "intact", 1).strip(".") if "*" in name or name.startswith(".") else name


def family(address):
    """4 or 6."""
    return 6 if ":" in address else 4


def local(address):
    """The address to ask for a listening address: the loopback for a wildcard."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(address, address)
