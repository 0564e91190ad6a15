# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A virtual host of an old system written for the new one: new paths, the PHP that is there, today's access rules. Pure.

What has no sure translation stays as a comment, and is told.
"""

from __future__ import annotations

import re

# Directives of PHP in the server; PHP-FPM has them in a pool or in .user.ini.
_PHP = re.compile(r"^\s*php_(?:admin_)?(?:value|flag)\s", re.IGNORECASE)
# Directives that Apache 2.4 refuses, or that load what is not there.
_GONE = re.compile(
    r"^\s*(NameVirtualHost|LockFile|SSLMutex|DefaultType|SSLProtocol|SSLCipherSuite|suPHP_\w+|SuexecUserGroup|RLimit\w+|CookieLog|JkMount|Include\w*)\s",
    re.IGNORECASE,
)
_HANDLER = re.compile(r"^\s*(AddHandler|AddType|SetHandler|Action|ScriptAlias|FastCgi\w*|FCGIWrapper)\s.*(php|fcgi)", re.IGNORECASE)
_ACCESS = re.compile(r"^(\s*)(Order|Allow|Deny|Satisfy)\s+(.*?)\s*$", re.IGNORECASE)
_LOG = re.compile(r"(^\s*(?:ErrorLog|CustomLog|TransferLog)\s+\"?)(?:/etc/httpd/)?(?:/var/log/httpd|logs)/", re.IGNORECASE)
_OPEN = re.compile(r"^\s*<VirtualHost\s+[^>]+>", re.IGNORECASE)


def moved(path, trees):
    """Where a path of the old host lies on the new one. trees: [{from, to}]; the longest that fits counts."""
    for tree in sorted(trees, key=lambda t: -len(t["from"])):
        old = tree["from"].rstrip("/")
        if path == old or path.startswith(old + "/"):
            return tree["to"].rstrip("/") + path[len(old) :]
    return path


def paths(line, trees):
    """A line of configuration with the paths in it moved."""
    if all(tree["from"].rstrip("/") == tree["to"].rstrip("/") for tree in trees):
        return line
    return re.sub(r"/[^\s\"':;,)(]+", lambda match: moved(match.group(0), trees), line)


def apache(lines, trees, host, files, socket):
    """(text, [what somebody has to look at]) of an Apache virtual host. files: {certificate, key} as they will lie. socket: of PHP-FPM, or ""."""
    out, said, php = [], [], False
    rules = [match for match in map(_ACCESS.match, lines) if match and match.group(2).lower() != "order"]
    # All or nobody can be said today; with anything between, a rule that is lost would let in who was kept out.
    plain = all(match.group(3).lower() == "from all" for match in rules)
    for line in lines:
        if _PHP.match(line):
            said.append("%s: belongs into PHP-FPM's pool" % line.strip())
        elif _HANDLER.match(line):
            php = True
            said.append("%s: PHP is called through FPM now" % line.strip())
        elif _GONE.match(line):
            said.append("%s: not carried" % line.strip())
        elif _ACCESS.match(line):
            indent, word, _rest = _ACCESS.match(line).groups()
            if plain:
                out += [] if word.lower() == "order" else [indent + ("Require all granted" if word.lower() == "allow" else "Require all denied")]
                continue
            said.append("%s: write it as Require" % line.strip())
        else:
            line = paths(_LOG.sub(r"\1/var/log/apache2/", line), trees)
            line = re.sub(r"^(\s*SSLCertificateFile\s+).*", r"\g<1>" + files["certificate"], line, flags=re.IGNORECASE) if files["certificate"] else line
            line = re.sub(r"^(\s*SSLCertificateKeyFile\s+).*", r"\g<1>" + files["key"], line, flags=re.IGNORECASE) if files["key"] else line
            if re.match(r"^\s*</VirtualHost", line, re.IGNORECASE) and (php or host["php"]) and socket:
                out += ['    <FilesMatch "\\.php$">', '        SetHandler "proxy:unix:%s|fcgi://localhost"' % socket, "    </FilesMatch>"]
            out.append(_OPEN.sub("<VirtualHost *:%d>" % host["listen"][0][1], line) if _OPEN.match(line) else line)
            continue
        out.append("    # old: " + line.strip())
    if (php or host["php"]) and not socket:
        said.append("it needs PHP, and no PHP-FPM is on this host")
    return "\n".join(out) + "\n", said


def nginx(host, trees, files, socket):
    """(text, [what somebody has to look at]) of a server block for a virtual host as in _webconf; its rewrites and rules are not carried."""
    root = moved(host["root"], trees)
    names = " ".join(sorted({name for name in host["names"] if _plain(name)})) or "_"
    ports = sorted({(port, tls) for _address, port, tls in host["listen"]})
    lines = ["server {"] + ["    listen %d%s;" % (port, " ssl" if tls else "") for port, tls in ports] + ["    server_name %s;" % names]
    if root:
        lines.append('    root "%s";' % root.replace('"', ""))
    lines.append("    index index.php index.html index.htm;" if host["php"] else "    index index.html index.htm;")
    if any(tls for _port, tls in ports):
        lines += ["    ssl_certificate %s;" % files["certificate"], "    ssl_certificate_key %s;" % files["key"]]
    said = []
    if host["php"] and socket:
        lines += ["    location ~ \\.php$ {", "        include snippets/fastcgi-php.conf;", "        fastcgi_pass unix:%s;" % socket, "    }"]
    elif host["php"]:
        said.append("it needs PHP, and no PHP-FPM is on this host")
    lines += ["    location ~ /\\.ht {", "        deny all;", "    }", "}"]
    said.append("rewrites, aliases, .htaccess and access rules of the old virtual host are not carried: look into its file")
    return "\n".join(lines) + "\n", said


def _plain(name):
    return bool(re.match(r"[A-Za-z0-9.*_-]+\Z", name)) and name not in ("_", "*", "_default_")
