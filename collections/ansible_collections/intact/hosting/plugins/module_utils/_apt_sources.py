# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""apt's sources in both of their formats, read by us and not only by apt: pure. Sources: sources.list(5)."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

# apt reads only names like these below sources.list.d, and says nothing about the others.
READ = re.compile(r"^[A-Za-z0-9_.-]+\.(list|sources)$")
ALIASES = ("stable", "oldstable", "oldoldstable", "testing", "unstable", "stable-updates", "stable-security", "testing-security", "sid")
TYPES = ("deb", "deb-src")


@dataclass
class Source:
    """One entry of one file; the deb822 format may give several types, URIs and suites in one.

    options: {name as in deb822, lower case: [values]}, e.g. {"signed-by": ["/usr/share/keyrings/x.gpg"]}.
    """

    file: str
    line: int
    types: list
    uris: list
    suites: list
    components: list
    options: dict = field(default_factory=dict)
    enabled: bool = True
    ordinal: int = 0

    @property
    def subject(self):
        """How an operator finds it: file:line."""
        return "%s:%d" % (self.file, self.line)

    @property
    def entry(self):
        """How apt calls it (SOURCESENTRY of indextargets): file and line, or file and number of the stanza."""
        return "%s:%d" % (self.file, self.ordinal or self.line)

    @property
    def words(self):
        """What it says, on one line, without a password that a URI may carry."""
        return " ".join(self.types + [without_password(uri) for uri in self.uris] + self.suites + self.components)


@dataclass(frozen=True)
class Unparsable:
    """A place in a source file that cannot be read, and why."""

    file: str
    line: int
    why: str
    text: str = ""


# One-line option names and what deb822 calls them.
_SHORT = {"arch": "architectures", "lang": "languages", "target": "targets"}


def parse_line(text, file="", line=1):
    """A Source from one line of the one-line format, None for a blank or a comment; raises ValueError with the reason.

    A commented entry is not one: nobody can tell it from prose.
    """
    body = text.split("#", 1)[0].strip()
    if not body:
        return None
    match = re.match(r"^(\S+)\s+(?:\[([^\]]*)\]\s*)?(.*)$", body)
    if not match or match.group(1) not in TYPES:
        raise ValueError("a line starts with deb or deb-src, not with %r" % body.split()[0])
    kind, raw, rest = match.groups()
    if rest.startswith("["):
        raise ValueError("the options in [ ] are not closed")
    options = {}
    for pair in (raw or "").split():
        name, sign, value = pair.partition("=")
        if not sign or not value:
            raise ValueError("option %r is not name=value" % pair)
        name = name.rstrip("+-").lower()
        options[_SHORT.get(name, name)] = value.split(",")
    parts = rest.split()
    if len(parts) < 2:
        raise ValueError("a URI and a suite are needed")
    uri, suite, components = parts[0], parts[1], parts[2:]
    _check(uri, suite, components)
    return Source(file, line, [kind], [uri], [suite], components, options)


def _check(uri, suite, components):
    if not re.match(r"^[a-zA-Z][a-zA-Z0-9+.-]*:", uri):
        raise ValueError("%r is not a URI" % uri)
    if suite.endswith("/"):
        if components:
            raise ValueError("a suite that ends with / takes no components")
    elif not components:
        raise ValueError("suite %s needs a component such as main" % suite)


def parse_list(text, file=""):
    """Entries of a file in the one-line format: ([Source], [Unparsable])."""
    sources, wrong = [], []
    for number, line in enumerate(text.splitlines(), 1):
        try:
            source = parse_line(line, file, number)
        except ValueError as exc:
            wrong.append(Unparsable(file, number, str(exc), line.strip()))
            continue
        if source:
            sources.append(source)
    return sources, wrong


def _stanzas(text):
    """Yield (first line number, [(number, key, [value lines])]) of a deb822 file; ValueError carries (number, why)."""
    start, fields = 0, []
    for number, line in enumerate(text.splitlines(), 1):
        if line.startswith("#"):
            continue
        if not line.strip():
            if fields:
                yield start, fields
            start, fields = 0, []
        elif line[0] in " \t":
            if not fields:
                raise ValueError(number, "a continued line without a field before it")
            fields[-1][2].append(line.strip())
        else:
            key, sign, value = line.partition(":")
            if not sign or not re.match(r"^[!-9;-~]+$", key):
                raise ValueError(number, "%r is not Field: value" % line.strip())
            start = start or number
            fields.append((number, key.strip().lower(), [value.strip()]))
    if fields:
        yield start, fields


def parse_deb822(text, file=""):
    """Entries of a file in the deb822 format: ([Source], [Unparsable])."""
    sources, wrong = [], []
    try:
        stanzas = list(_stanzas(text))
    except ValueError as exc:
        return [], [Unparsable(file, exc.args[0], exc.args[1])]
    for ordinal, (start, fields) in enumerate(stanzas, 1):
        values = {}
        for number, key, lines in fields:
            if key in values:
                wrong.append(Unparsable(file, number, "field %s is given twice" % key))
            values[key] = lines
        lists = {key: " ".join(values.pop(key, [])).split() for key in ("types", "uris", "suites", "components")}
        enabled = " ".join(values.pop("enabled", ["yes"])).strip().lower() not in ("no", "false", "0", "off", "without", "disable")
        missing = [key.capitalize() for key in ("types", "uris", "suites") if not lists[key]]
        try:
            if missing:
                raise ValueError("%s missing" % " and ".join(missing))
            strange = [kind for kind in lists["types"] if kind not in TYPES]
            if strange:
                raise ValueError("Types holds %s: only deb and deb-src are known" % strange[0])
            for uri in lists["uris"]:
                for suite in lists["suites"]:
                    _check(uri, suite, lists["components"])
        except ValueError as exc:
            wrong.append(Unparsable(file, start, str(exc)))
            continue
        # A key given in place (armoured) must keep its lines.
        options = {key: (lines if key == "signed-by" and len(lines) > 2 else " ".join(lines).split()) for key, lines in values.items()}
        sources.append(Source(file, start, lists["types"], lists["uris"], lists["suites"], lists["components"], options, enabled, ordinal))
    return sources, wrong


def parse(text, file):
    """Entries of one file, its format told by its name."""
    return parse_deb822(text, file) if file.endswith(".sources") else parse_list(text, file)


def render(source):
    """A deb822 stanza (text ending in a newline) that says the same as a Source."""
    lines = ["Types: " + " ".join(source.types), "URIs: " + " ".join(source.uris), "Suites: " + " ".join(source.suites)]
    if source.components:
        lines.append("Components: " + " ".join(source.components))
    if not source.enabled:
        lines.append("Enabled: no")
    for key, values in sorted(source.options.items()):
        name = "-".join(part.capitalize() for part in key.split("-"))
        if key == "signed-by" and len(values) > 2 and any("PGP PUBLIC KEY" in v for v in values):
            lines.append(name + ":" + "".join("\n " + (v or ".") for v in values if v))
        else:
            lines.append("%s: %s" % (name, " ".join(values)))
    return "\n".join(lines) + "\n"


def without_password(text):
    """Text with user:password@ of any URI in it blotted out."""
    return re.sub(r"(://)[^/@\s]+@", r"\1***@", text)


def suite_base(suite):
    """A suite without its pocket: bookworm-updates, bookworm/updates and bookworm-security are bookworm's."""
    return re.split(r"[-/]", suite, maxsplit=1)[0]


def read_all(system, main="/etc/apt/sources.list", parts="/etc/apt/sources.list.d"):
    """All entries that apt reads: ([Source], [Unparsable], [paths that apt passes over])."""
    sources, wrong, ignored = [], [], []
    paths = [main] if system.exists(main) else []
    for path in system.glob(parts + "/*"):
        (paths if READ.match(path.rsplit("/", 1)[1]) else ignored).append(path)
    for path in paths:
        found, bad = parse(system.text(path), path)
        sources += found
        wrong += bad
    return sources, wrong, ignored
