# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Virtual hosts of a system that does not run, read from its files: Apache with its includes, nginx. Works on a Rooted as on a System."""

from __future__ import annotations

import posixpath
import re

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _webconf

APACHE = (
    "/etc/httpd/conf/httpd.conf",
    "/etc/apache2/apache2.conf",
    "/etc/apache2/httpd.conf",
    "/usr/local/apache/conf/httpd.conf",
    "/usr/local/apache2/conf/httpd.conf",
)
NGINX = "/etc/nginx/nginx.conf"
MOST_FILES = 5000
_INCLUDE = re.compile(r"^\s*Include(?:Optional)?\s+(?:\"([^\"]+)\"|(\S+))", re.IGNORECASE)
_ROOT = re.compile(r"^\s*ServerRoot\s+(?:\"([^\"]+)\"|(\S+))", re.IGNORECASE | re.MULTILINE)
_OPEN = re.compile(r"^\s*<VirtualHost\s+([^>]+)>", re.IGNORECASE)
_CLOSE = re.compile(r"^\s*</VirtualHost", re.IGNORECASE)
# a handler for PHP, not the one that shows its source
_PHP = re.compile(r"^\s*(?:SetHandler|AddHandler|AddType)\s.*php(?!\S*-source)", re.IGNORECASE)
_NAME = re.compile(r"^\s*ServerName\s+\"?([^\s\":]+)", re.IGNORECASE)


def vhosts(system):
    """Virtual hosts as in _webconf.nginx_vhosts(), each with `line` (0 for nginx): the number of its first line in `config`."""
    return _apache(system) + _nginx(system)


def _nginx(system):
    if not system.exists(NGINX):
        return []
    files, waiting = {}, [NGINX]
    while waiting and len(files) < MOST_FILES:
        path = waiting.pop()
        if path in files:
            continue
        files[path] = system.text(path)
        for pattern in re.findall(r"(?:^|[\s{;])include\s+\"?([^;\"]+)\"?\s*;", re.sub(r"#.*", "", files[path])):
            waiting += system.glob(posixpath.normpath(posixpath.join("/etc/nginx", pattern.strip())))
    return [dict(host, line=0) for host in _webconf.nginx_vhosts(_webconf.nginx_tree(files, NGINX))]


def apache_files(system):
    """{path: text} of Apache's configuration with all that it includes."""
    files = {}
    for main in APACHE:
        text = system.text(main)
        if not text:
            continue
        found = _ROOT.search(text)
        base = (found.group(1) or found.group(2)) if found else posixpath.dirname(main)
        # Debian gives the root in a variable, and Red Hat's main file lies one directory deeper than its root
        base = posixpath.dirname(main) if "$" in base else base
        waiting = [main]
        while waiting and len(files) < MOST_FILES:
            path = waiting.pop(0)
            if path in files:
                continue
            files[path] = system.text(path)
            for line in files[path].splitlines():
                match = _INCLUDE.match(line)
                if match:
                    waiting += _included(system, posixpath.normpath(posixpath.join(base, match.group(1) or match.group(2))))
    return files


def _included(system, pattern):
    """Files of one Include: a file, a pattern, or a directory with all below it."""
    found = system.glob(pattern) if any(sign in pattern for sign in "*?[") else [pattern]
    out = []
    for path in found:
        names = system.listdir(path)
        out += [posixpath.join(path, name) for name in names] if names else [path]
    return out


def _php_everywhere(files):
    """Whether PHP is handled outside of all virtual hosts, as mod_php is: then each of them has it."""
    for text in files.values():
        inside = False
        for line in text.splitlines():
            inside = (inside or bool(_OPEN.match(line))) and not _CLOSE.match(line)
            if not inside and _PHP.match(line):
                return True
    return False


def _apache(system):
    files, out = apache_files(system), []
    everywhere = _php_everywhere(files)
    for path, text in files.items():
        lines, number = text.splitlines(), 0
        while number < len(lines):
            match = _OPEN.match(lines[number])
            if match:
                end = next((n for n in range(number + 1, len(lines)) if _CLOSE.match(lines[n])), len(lines))
                name = next((m.group(1) for m in map(_NAME.match, lines[number:end]) if m), "_")
                address = match.group(1).split()[0]
                address = address if re.search(r":(\d+|\*)$", address) else address + ":80"
                dump = "%s %s (%s:%d)" % (address, name, path, number + 1)
                out += [dict(host, line=number + 1, php=host["php"] or everywhere) for host in _webconf.apache_vhosts(dump, files.__getitem__)]
                number = end
            number += 1
    return out


def block(text, line):
    """The lines of the virtual host that begins at a line (from 1), its closing line included."""
    lines = text.splitlines()[line - 1 :]
    end = next((n for n, body in enumerate(lines) if _CLOSE.match(body)), len(lines) - 1)
    return lines[: end + 1]
