# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""A private apt state beside the live one: the target release is looked at without a change to the host. Runs commands and opens files."""

from __future__ import annotations

import glob
import os
import shutil

from ansible_collections.intact.hosting.plugins.module_utils import _apt_sources
from ansible_collections.intact.hosting.plugins.module_utils._command import run
from ansible_collections.intact.hosting.plugins.module_utils._files import read_if_exists, write_atomic
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _simulate, _suites

# Hooks of the live configuration must not run for a look, and its directories are replaced.
_HOOKS = (
    "APT::Update::Post-Invoke",
    "APT::Update::Pre-Invoke",
    "APT::Update::Post-Invoke-Success",
    "DPkg::Pre-Invoke",
    "DPkg::Post-Invoke",
    "DPkg::Pre-Install-Pkgs",
    "AptCli::Hooks",
)
_DROPPED = _HOOKS + (
    "Dir::Etc::main",
    "Dir::Etc::parts",
    "Dir::State::lists",
    "Dir::Cache",
    "Dir::Etc::sourcelist",
    "Dir::Etc::sourceparts",
)


def configuration(dump, root, archives):
    """An apt.conf (text) that is the live one, told by apt-config dump, with private lists, cache and sources under root. Pure."""
    kept = []
    for line in dump.splitlines():
        key, _space, value = line.partition(" ")
        if any(key == d or key.startswith(d + "::") for d in _DROPPED) or value.count('"') != 2:
            continue
        kept.append(line)
    private = {
        "Dir::Etc::main": "/dev/null",
        "Dir::Etc::parts": root + "/empty",
        "Dir::State::lists": root + "/lists",
        "Dir::Cache": root + "/cache",
        "Dir::Cache::archives": archives,
        "Dir::Etc::sourcelist": root + "/etc/sources.list",
        "Dir::Etc::sourceparts": root + "/etc/sources.list.d",
        "Dir::Cache::pkgcache": "pkgcache.bin",
        "Dir::Cache::srcpkgcache": "srcpkgcache.bin",
    }
    # Read by -c after the live files as well, so that these are cleared, not only left out.
    clear = ["#clear %s;" % key for key in _HOOKS]
    return "\n".join(clear + kept + ['%s "%s";' % pair for pair in private.items()]) + "\n"


def live_sources():
    """[(path, text)] of the source files that apt reads now."""
    paths = ["/etc/apt/sources.list"] + sorted(glob.glob("/etc/apt/sources.list.d/*"))
    out = []
    for path in paths:
        if path != "/etc/apt/sources.list" and not _apt_sources.READ.match(os.path.basename(path)):
            continue
        data = read_if_exists(path)
        if data is not None:
            out.append((path, data.decode("utf-8", "surrogateescape")))
    return out


def staged_sources(suites, source_map=(), components=()):
    """([(path, new text)], [change]) for the live sources."""
    texts, changes = [], []
    for path, text in live_sources():
        new, found = _suites.transform(path, text, suites, source_map, components)
        texts.append((path, new))
        changes += found
    return texts, changes


def forget_lists(directory):
    """Take away the package lists in a directory, and what was fetched of them: the next update reads them anew."""
    for name in os.listdir(directory) if os.path.isdir(directory) else []:
        path = os.path.join(directory, name)
        if os.path.isfile(path) and name != "lock":
            os.unlink(path)
    partial = os.path.join(directory, "partial")
    for name in os.listdir(partial) if os.path.isdir(partial) else []:
        os.unlink(os.path.join(partial, name))


class PrivateApt:
    """apt over its own sources, lists and cache; dpkg's status is the live one, read only."""

    def __init__(self, root, archives=None):
        self.root = root
        self.archives = archives or root + "/archives"
        self.config = root + "/apt.conf"
        self.fetched = {}

    def prepare(self, sources):
        """Write the configuration and the sources [(live path, text)] below the root; what an earlier look left of sources goes."""
        for name in ("", "/lists/partial", "/cache", "/empty", "/none/partial", "/etc"):
            os.makedirs(self.root + name, mode=0o755, exist_ok=True)
        os.makedirs(self.archives + "/partial", mode=0o755, exist_ok=True)
        shutil.rmtree(self.root + "/etc/sources.list.d", ignore_errors=True)
        os.makedirs(self.root + "/etc/sources.list.d", mode=0o755)
        write_atomic(self.root + "/etc/sources.list", b"")
        for path, text in sources:
            write_atomic(self.path_of(path), text.encode("utf-8", "surrogateescape"))
        dump = run(["apt-config", "dump"]).text
        write_atomic(self.config, configuration(dump, self.root, self.archives).encode("utf-8", "surrogateescape"))

    def path_of(self, path):
        """Where the text lies that prepare() was given for a live source file."""
        return os.path.join(self.root, "etc", path[len("/etc/apt/") :])

    def call(self, argv, timeout=600, check=True):
        """Run an apt command over the private state."""
        return run(argv, timeout=timeout, env={"APT_CONFIG": self.config, "DEBIAN_FRONTEND": "noninteractive"}, check=check)

    def update(self):
        """Refresh the private lists; returns apt's complaints (empty: every source answered and is signed)."""
        result = self.call(["apt-get", "update", "-q", "-o", "APT::Update::Error-Mode=any", "-o", "Acquire::Retries=2"], timeout=900, check=False)
        self.fetched = _simulate.fetched(result.text) or self.fetched
        said = _simulate.problems(result.err.decode("utf-8", "replace"))
        if result.rc != 0 and not said:
            said = ["apt-get update ended with status %d" % result.rc]
        return said if result.rc != 0 else []

    def simulate(self, *arguments):
        """The text of apt-get -s with these arguments; raises IntactError with apt's own reasons when it sees no way."""
        result = self.call(["apt-get", "-s", "-q", "-o", "APT::Get::Show-User-Simulation-Note=no"] + list(arguments), check=False)
        if result.rc != 0:
            said = _simulate.problems(result.text) + _simulate.problems(result.err.decode("utf-8", "replace"))
            raise IntactError("apt sees no way to the target release: %s" % ("; ".join(said[:6]) or "status %d" % result.rc), output=said)
        return result.text

    def announced(self, *arguments):
        """The text in which apt says what it would do with these arguments, versions included; quick, as nothing is put in order."""
        return self.call(["apt-get", "-q", "-V", "--assume-no", "-o", "Debug::NoLocking=1"] + list(arguments), check=False).text

    def uris(self, *arguments):
        """All archives that these arguments need: [{uri, file, size, hash}]. apt leaves out what it has, so it is shown an empty directory."""
        argv = ["apt-get", "--print-uris", "-qq", "-y", "-o", "Dir::Cache::archives=" + self.root + "/none"]
        return _simulate.archives(self.call(argv + list(arguments)).text)

    def records(self, packages):
        """{name: record of apt-cache show} for [(name, arch, version)]."""
        out, words = {}, ["%s:%s=%s" % (n, a, v) if a != "all" else "%s=%s" % (n, v) for n, a, v in packages]
        for start in range(0, len(words), 200):
            for record in _simulate.stanzas(self.call(["apt-cache", "show"] + words[start : start + 200], check=False).text):
                out.setdefault(record.get("package", ""), record)
        return out

    def known(self, names):
        """Those of the names that the private lists know as packages that can be installed."""
        if not names:
            return []
        text = self.call(["apt-cache", "show", "--no-all-versions"] + list(names), check=False).text
        found = {record.get("package") for record in _simulate.stanzas(text)}
        return [name for name in names if name in found]

    def fetch(self, archive, sha256):
        """Download one archive (see uris) into the private directory, its hash checked; returns its path."""
        path = os.path.join(self.archives, archive["file"])
        if os.path.exists(path) and os.path.getsize(path) == archive["size"]:
            return path
        self.call(["/usr/lib/apt/apt-helper", "download-file", archive["uri"], path, "SHA256:" + sha256], timeout=1800)
        return path
