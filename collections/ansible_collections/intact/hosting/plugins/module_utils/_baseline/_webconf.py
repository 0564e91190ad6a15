# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Read the configuration of nginx and Apache: which virtual hosts there are, where they listen and what they serve. Pure."""

from __future__ import annotations

import fnmatch
import posixpath
import re


class Block:
    """One directive: its words, the file it stands in, and its children when it has a body."""

    def __init__(self, words, file, children=None):
        self.words, self.file, self.children = words, file, children

    def find(self, name):
        """The children called name."""
        return [c for c in self.children or [] if c.words[0] == name]

    def value(self, name, default=""):
        """The first argument of the last child called name."""
        found = [c for c in self.find(name) if len(c.words) > 1]
        return found[-1].words[1] if found else default


TOKEN = re.compile(
    r"""\s+|\#[^\n]*|(?P<sign>[{};])|"(?P<double>(?:\\.|[^"\\])*)"|'(?P<single>(?:\\.|[^'\\])*)'|(?P<word>(?:\\.|\$\{\w*\}|[^\s;{}\\]|\\)+)""", re.DOTALL
)


def nginx_tokens(text):
    """(is a sign, text) for each token of nginx's configuration language."""
    for match in TOKEN.finditer(text):
        if match.group("sign"):
            yield True, match.group("sign")
        elif match.group("word") is not None:
            yield False, match.group("word")
        elif match.group("double") is not None or match.group("single") is not None:
            yield False, re.sub(r"\\(.)", r"\1", match.group("double") or match.group("single") or "")


def nginx_parse(text, file):
    """The directives of one file as Blocks; what is not closed ends with the file."""
    top = []
    stack, words = [top], []
    for sign, token in nginx_tokens(text):
        if not sign:
            words.append(token)
        elif token == ";":
            if words:
                stack[-1].append(Block(words, file))
            words = []
        elif token == "{":
            block = Block(words or [""], file, [])
            stack[-1].append(block)
            stack.append(block.children)
            words = []
        elif len(stack) > 1:
            stack.pop()
    return top


def nginx_files(dump):
    """{path: text} from the output of nginx -T."""
    parts = re.split(r"^# configuration file (.+):\n", dump, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2]))


def nginx_tree(files, main):
    """The whole configuration as one list of Blocks, includes put in place (relative to main's directory, sorted as nginx does)."""
    base = posixpath.dirname(main)

    def expand(blocks, depth):
        out = []
        for block in blocks:
            if block.words[0] == "include" and len(block.words) == 2 and depth < 20:
                pattern = posixpath.normpath(posixpath.join(base, block.words[1]))
                for path in sorted(files):
                    if path.count("/") == pattern.count("/") and all(fnmatch.fnmatchcase(p, w) for p, w in zip(path.split("/"), pattern.split("/"))):
                        out += expand(nginx_parse(files[path], path), depth + 1)
            else:
                if block.children is not None:
                    block.children = expand(block.children, depth)
                out.append(block)
        return out

    return expand(nginx_parse(files.get(main, ""), main), 0)


def nginx_listen(words):
    """(address, port, tls) of one listen directive; None for a Unix socket or a QUIC listener."""
    value = words[1]
    if value.startswith("unix:") or "quic" in words[2:]:
        return None
    match = re.match(r"^(\[[^\]]*\]|[^:]*):(\d+)$", value)
    if match:
        address, port = match.group(1).strip("[]"), int(match.group(2))
    elif value.isdigit():
        address, port = "", int(value)
    else:
        address, port = value.strip("[]"), 80
    if address in ("", "*"):
        address = "0.0.0.0"
    return address, port, "ssl" in words[2:]


def nginx_vhosts(tree):
    """Virtual hosts as dicts {server, names, listen [(address, port, tls)], root, certificate, key, config, roots, php}."""
    out = []
    for http in [b for b in tree if b.words[0] == "http"]:
        for server in http.find("server"):
            inner = list(_descend(server))
            listen = [found for found in (nginx_listen(b.words) for b in server.find("listen") if len(b.words) > 1) if found]
            if server.value("ssl") == "on":
                listen = [(a, p, True) for a, p, _tls in listen]
            root = server.value("root", http.value("root"))
            roots = {b.words[1] for b in inner if b.words[0] in ("root", "alias") and len(b.words) > 1} | ({root} if root else set())
            out.append(
                {
                    "server": "nginx",
                    "names": [w for b in server.find("server_name") for w in b.words[1:]],
                    "listen": sorted(set(listen or [("0.0.0.0", 80, False)])),
                    "root": root,
                    "roots": sorted(r for r in roots if r.startswith("/") and "$" not in r),
                    "config": server.file,
                    "certificate": server.value("ssl_certificate", http.value("ssl_certificate")),
                    "key": server.value("ssl_certificate_key", http.value("ssl_certificate_key")),
                    "php": any(b.words[0] == "fastcgi_pass" for b in inner),
                }
            )
    return out


def _descend(block):
    for child in block.children or []:
        yield child
        yield from _descend(child)


def apache_vhosts(dump, read):
    """Virtual hosts from "apachectl -t -D DUMP_VHOSTS"; read(path) gives a configuration file's text.

    Same shape as nginx_vhosts(). The dump names address, file and line; the rest stands in the <VirtualHost> at that line.
    """
    out, address, ports = [], "*", 80
    for line in dump.splitlines():
        alone = re.match(r"^(\S+):(\d+|\*)\s+(?:is a NameVirtualHost|(\S+) \((.+):(\d+)\))", line)
        named = re.match(r"^\s+port (\d+|\*) namevhost (\S+) \((.+):(\d+)\)", line)
        if alone:
            address, ports = alone.group(1).strip("[]"), int(alone.group(2)) if alone.group(2).isdigit() else 80
            if alone.group(3):
                out.append(_apache(address, ports, alone.group(3), alone.group(4), int(alone.group(5)), read))
        elif named:
            port = int(named.group(1)) if named.group(1).isdigit() else ports
            out.append(_apache(address, port, named.group(2), named.group(3), int(named.group(4)), read))
    return out


def _apache(address, port, name, path, number, read):
    body = re.split(r"^\s*</VirtualHost", "\n".join(read(path).splitlines()[number:]), maxsplit=1, flags=re.MULTILINE | re.IGNORECASE)[0]

    def value(directive):
        found = re.findall(r"^\s*%s\s+(?:\"([^\"]*)\"|(\S+))" % directive, body, re.MULTILINE | re.IGNORECASE)
        return (found[-1][0] or found[-1][1]) if found else ""

    aliases = [word for line in re.findall(r"^\s*ServerAlias\s+(.+)$", body, re.MULTILINE | re.IGNORECASE) for word in line.split()]
    tls = value("SSLEngine").lower() == "on"
    addresses = ["0.0.0.0", "::"] if address in ("*", "_default_") else [address]
    root = value("DocumentRoot")
    return {
        "server": "apache2",
        "names": [name] + aliases,
        "listen": [(a, port, tls) for a in addresses],
        "root": root,
        "roots": [root] if root else [],
        "config": path,
        "certificate": value("SSLCertificateFile"),
        "key": value("SSLCertificateKeyFile"),
        "php": "proxy:" in body or "php" in body.lower(),
    }
