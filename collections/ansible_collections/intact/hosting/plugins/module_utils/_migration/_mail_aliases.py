# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Aliases of an old mail server, and their way into the live Postfix: a marked block in its own files, nothing that runs a program or writes a file.

Postfix's configuration is the one below the directory that setting postfix_config names, else /etc/postfix.
"""

from __future__ import annotations

import os
import posixpath
import re

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._files import escape, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _mail_old

BEGIN, END = "# BEGIN intact migration %s", "# END intact migration %s"
LOCAL = ("/etc/aliases", "/etc/mail/aliases")
VIRTUAL = ("/etc/postfix/virtual", "/etc/mail/virtusertable", "/etc/postfix/virtual_alias_maps")
_TYPES = ("hash", "btree", "lmdb", "dbm", "cdb", "sdbm", "texthash")


def split(text):
    """The targets of an alias: commas outside quotes and brackets are between them."""
    out, part, quoted = [], "", False
    for char in text:
        if char == '"':
            quoted = not quoted
        if char == "," and not quoted:
            out.append(part.strip())
            part = ""
        else:
            part += char
    return [p for p in [*out, part.strip()] if p]


def kind_of(target):
    """address, or what makes it dangerous: pipe, include, file."""
    bare = target.strip().strip('"').strip()
    if bare.startswith("|"):
        return "pipe"
    if bare.lower().startswith(":include:"):
        return "include"
    if bare.startswith("/"):
        return "file"
    return "address"


def of_mailman(targets):
    """Whether what an unsafe alias ([(kind, target)]) does is give mail to Mailman 2: Mailman 3 gets it in another way."""
    return all(kind == "pipe" and re.search(r"/(?:mailman|wrapper)(?: |\Z|\")", target) for kind, target in targets)


def parse(text, colon=True):
    """{name in lower case: [targets]} of aliases (NAME: TARGET, TARGET), or of a Postfix table without colon (NAME TARGET)."""
    out, lines = {}, []
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[:1] in (" ", "\t") and lines:
            lines[-1] += " " + line.strip()
        else:
            lines.append(line.rstrip())
    for line in lines:
        if colon:
            found = re.match(r'\s*("(?:[^"\\]|\\.)*"|[^:"\s]+)\s*:(.*)\Z', line)
            name, value = (found.group(1).strip('"'), found.group(2)) if found else ("", "")
        else:
            name, _space, value = line.strip().replace("\t", " ").partition(" ")
        targets = split(value) if colon else [t for t in re.split(r"[,\s]+", value.strip()) if t]
        if name and targets:
            out.setdefault(name.lower(), []).extend(t for t in targets if t not in out.get(name.lower(), []))
    return out


def settings(text):
    """{name: value} of a main.cf, continued lines joined."""
    out, last = {}, None
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        if line[:1] in (" ", "\t") and last:
            out[last] += " " + line.strip()
        elif "=" in line:
            name, _equals, value = line.partition("=")
            last = name.strip()
            out[last] = value.strip()
    return out


def _files(value, told):
    """Paths of tables in a setting's value, variables of the same file filled in."""
    value = re.sub(r"\$\{?(\w+)\}?", lambda m: told.get(m.group(1), "/etc/postfix" if m.group(1) == "config_directory" else ""), value)
    return [word.partition(":")[2] for word in re.split(r"[,\s]+", value) if word.partition(":")[0] in _TYPES]


def old(context):
    """{kind (local, virtual): {name: [targets]}} of the old disk's files; text sources are read, never compiled tables."""
    told = settings(context.old.text("/etc/postfix/main.cf"))
    local = _files(told.get("alias_maps", ""), told) or [path for path in LOCAL if context.old.exists(path)][:1]
    virtual = _files(told.get("virtual_alias_maps", "") or told.get("virtual_maps", ""), told) or [p for p in VIRTUAL if context.old.exists(p)]
    out = {"local": {}, "virtual": {}}
    for kind, paths in (("local", local), ("virtual", virtual)):
        for path in paths:
            for name, targets in parse(context.old.text(posixpath.normpath(path)), kind == "local").items():
                out[kind].setdefault(name, targets)
    return out


def forwards(context):
    """{user: [targets]} of ~/.forward on the old disk."""
    from ansible_collections.intact.hosting.plugins.module_utils._migration import _mail_disk  # noqa: PLC0415

    out = {}
    for user, home in _mail_old.accounts(context).items():
        place = _mail_disk.place(context, home) if home != "/" else None
        if place is None:
            continue
        with place:
            text = (place.read(b".forward", 1 << 16) or b"").decode("utf-8", "surrogateescape")
        lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
        if lines:
            out[user] = [target for line in lines for target in split(line)]
    return out


class Postfix:
    """The live Postfix's tables. config: its directory, "" for its own."""

    def __init__(self, system, config=""):
        self._system, self._config = system, ["-c", config] if config else []

    def there(self):
        """Whether Postfix is installed."""
        return self._system.which("postconf") is not None

    def table(self, kind):
        """(type, path) of the table that aliases of a kind are written to, or None when none is set up."""
        names = ("alias_database", "alias_maps") if kind == "local" else ("virtual_alias_maps",)
        for name in names:
            value = _command.run(["postconf", *self._config, "-xh", name], check=False).text
            for word in re.split(r"[,\s]+", value.strip()):
                scheme, colon, path = word.partition(":")
                if colon and scheme in _TYPES and "/mailman" not in path:
                    return scheme, path
        return None

    def query(self, kind, name):
        """[targets] that Postfix itself finds for a name, in every table of the kind's lookup, or []."""
        setting = "alias_maps" if kind == "local" else "virtual_alias_maps"
        for word in re.split(r"[,\s]+", _command.run(["postconf", *self._config, "-xh", setting], check=False).text.strip()):
            scheme, colon, _path = word.partition(":")
            if colon and scheme in _TYPES:
                # the name goes in by a pipe: one that begins with - or holds blanks is no option
                told = _command.run(["postmap", *self._config, "-q", "-", word], stdin=(name + "\n").encode("utf-8", "surrogateescape"), check=False)
                value = told.text.rstrip("\n").partition("\t")[2]
                if value:
                    return split(value)
        return []

    def build(self, kind, scheme, path):
        """Compile a table from its text."""
        _command.run(["postalias" if kind == "local" else "postmap", *self._config, "%s:%s" % (scheme, path)])


def plan(told, live):
    """Sorts old aliases: {add {name: [targets]}, same [names], conflicts {name: (old, live)}, unsafe {name: [(kind, target)]}}."""
    out = {"add": {}, "same": [], "conflicts": {}, "unsafe": {}}
    for name, targets in sorted(told.items()):
        bad = [(kind_of(t), t) for t in targets if kind_of(t) != "address"]
        if bad:
            out["unsafe"][name] = bad
        elif name in live and sorted(t.lower() for t in live[name]) == sorted(t.lower() for t in targets):
            out["same"].append(name)
        elif name in live:
            out["conflicts"][name] = (targets, live[name])
        else:
            out["add"][name] = targets
    return out


def merge(postfix, kind, told, tag, check=False):
    """Bring aliases of one kind into the live table. Returns plan() with `table` ("" for none), `changed`, `lost` (names that Postfix does not find)."""
    table = postfix.table(kind)
    if table is None:
        return dict(plan(told, {}), table="", changed=False, lost=[])
    scheme, path = table
    with_blocks = _read(path)
    text = without(with_blocks, tag)
    live = parse(text, kind == "local")
    out = dict(plan(told, live), table="%s:%s" % table, changed=False, lost=[])
    wanted = text
    if out["add"]:
        lines = [_line(kind, name, targets) for name, targets in sorted(out["add"].items())]
        wanted = text + ("" if text.endswith("\n") or not text else "\n") + "\n".join([BEGIN % tag, *lines, END % tag]) + "\n"
    out["changed"] = wanted != with_blocks
    if check:
        return out
    if out["changed"]:
        mode = os.stat(path).st_mode & 0o7777 if os.path.exists(path) else 0o644
        write_atomic(os.path.realpath(path), wanted.encode("utf-8", "surrogateescape"), mode)
    if out["changed"] or any(not postfix.query(kind, name) for name in out["add"]):
        postfix.build(kind, scheme, path)
    out["lost"] = [name for name, targets in out["add"].items() if sorted(postfix.query(kind, name)) != sorted(targets)]
    return out


def _read(path):
    try:
        with open(path, "rb") as handle:
            return handle.read().decode("utf-8", "surrogateescape")
    except FileNotFoundError:
        return ""


def without(text, tag):
    """The text without the block of this migration. Raises IntactError when its end is gone."""
    begin, end = BEGIN % tag, END % tag
    if begin not in text:
        return text
    head, _begin, rest = text.partition(begin + "\n")
    _block, found, tail = rest.partition(end + "\n")
    if not found:
        raise IntactError("the line %r is gone from the aliases: take the rest of its block away too" % end)
    return head + tail


def _line(kind, name, targets):
    if any(c in name + "".join(targets) for c in "\n\r\0"):
        raise IntactError("the alias %s holds a control character" % escape(name))
    if kind == "virtual":
        return "%s %s" % (name, ", ".join(targets))
    quoted = '"%s"' % name if re.search(r'[\s#:"]', name) else name
    return "%s: %s" % (quoted, ", ".join(targets))
