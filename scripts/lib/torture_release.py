# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A small Debian release and its successor, for upgrades that are cut: packages that ask, sleep, fail once, restart a service, go, split and are large.

Two suites in one repository: `labold` (what the hosts have, one package a patch behind) and `labnew`.
"""

from __future__ import annotations

import functools
import gzip
import hashlib
import subprocess
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

OLD, NEW = "labold", "labnew"
VERSIONS = {"1": "1.0-1", "p": "1.1-1", "2": "2.0-1"}
LARGE = 16 * 1000 * 1000
# Set by hand before the upgrade, and looked for after it.
ANSWER = "/etc/lab/answer.conf"
OPERATOR = "# the operator's own\nanswer = 41\nsecret_of_the_shop = kept\n"

RELEASE_PATH = {
    "name": "debian-12-12next",
    "source": {"id": "debian", "version": "12", "codename": "bookworm"},
    "target": {"id": "debian", "version": "12.9", "codename": "labnext"},
    "suites": {OLD: NEW},
    "minimum_versions": {"lab-patch": {"version": VERSIONS["p"], "reason": "the package of the test that is a patch behind"}},
    "bootstrap": ["lab-lib", "lab-release"],
    "expected_removals": [{"package": "lab-before", "replacement": "lab-after", "reason": "renamed"}],
    "carry": [{"from": "/etc/lab/before.d/*", "to": "/etc/lab/after.d/", "package": "lab-before", "reason": "the directory is named after the package"}],
}
SETTINGS = {"protected": ["lab-daemon", "openssh-server"], "conffile_default": "keep"}

OS_RELEASE = """PRETTY_NAME="Lab GNU/Linux {version} ({codename})"
NAME="Debian GNU/Linux"
VERSION_ID="{version}"
VERSION_CODENAME={codename}
ID=debian
"""

DAEMON = '''import http.server

VERSION = "{version}"


class Answer(http.server.BaseHTTPRequestHandler):
    """Says which version it is, and what its configuration says."""

    def do_GET(self):
        """Answer."""
        with open("{answer}", "rb") as handle:
            body = b"lab-daemon " + VERSION.encode() + b"\\n" + handle.read()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *words):
        """Nothing."""


http.server.ThreadingHTTPServer(("127.0.0.1", 8099), Answer).serve_forever()
'''
UNIT = """[Unit]
Description=The daemon of the test's release

[Service]
ExecStart=/usr/bin/python3 /usr/lib/lab-daemon/daemon.py
Restart=on-failure
RestartSec=1

[Install]
WantedBy=multi-user.target
"""
TEMPLATES = """Template: lab-debconf/mode
Type: select
Choices: careful, fast
Default: careful
Description: How to work?

Template: lab-debconf/{name}
Type: boolean
Default: true
Description: Asked by version {version}?
"""
TELL = 'mkdir -p /var/lib/lab && echo "$DPKG_MAINTSCRIPT_PACKAGE $DPKG_MAINTSCRIPT_NAME $*" >>/var/lib/lab/scripts.log\n'


@dataclass
class Package:
    """One binary package. files: path from / to its bytes. scripts: name in DEBIAN/ to its text without the first line."""

    name: str
    version: str
    fields: dict[str, str] = field(default_factory=dict)
    files: dict[str, bytes] = field(default_factory=dict)
    scripts: dict[str, str] = field(default_factory=dict)
    conffiles: tuple[str, ...] = ()
    triggers: str = ""
    templates: str = ""

    @property
    def archive(self) -> str:
        return f"{self.name}_{self.version}_all.deb"


def sleeping(seconds: float, action: str = "configure") -> str:
    return f'if [ "$1" = {action} ]; then sleep {seconds}; fi\n'


def plain(name: str, number: str, **more: object) -> Package:
    version = VERSIONS[number]
    files = {f"/usr/share/{name}/{index}": f"{name} {version} {index}\n".encode() * 40 for index in range(6)}
    return Package(name, version, files=files, **more)  # type: ignore[arg-type]


def release(number: str) -> Package:
    """What base-files is in Debian: who says which release this is."""
    target = RELEASE_PATH["source" if number == "1" else "target"]
    divert = "dpkg-divert --package lab-release --divert /usr/lib/os-release.debian --rename --add /usr/lib/os-release\n"
    text = OS_RELEASE.format(version=target["version"], codename=target["codename"])  # type: ignore[index]
    return Package(
        "lab-release",
        VERSIONS[number],
        {"Depends": f"lab-lib (>= {VERSIONS[number]})"},
        {"/usr/lib/os-release": text.encode()},
        {"preinst": divert, "postinst": sleeping(0.2)},
    )


def daemon(number: str) -> Package:
    version = VERSIONS[number]
    restart = (
        'if [ "$1" = configure ]; then\n'
        "    deb-systemd-helper enable lab-daemon.service >/dev/null\n"
        "    if [ -d /run/systemd/system ]; then systemctl --system daemon-reload; deb-systemd-invoke restart lab-daemon.service; fi\n"
        "fi\n"
    )
    return Package(
        "lab-daemon",
        version,
        {"Depends": "lab-conffile" + (f", lab-daemon-common (= {version})" if number == "2" else "")},
        {"/usr/lib/lab-daemon/daemon.py": DAEMON.format(version=version, answer=ANSWER).encode(), "/lib/systemd/system/lab-daemon.service": UNIT.encode()},
        {"postinst": restart},
        triggers="activate lab-rebuild\n",
    )


def asking(number: str) -> Package:
    """Reads an answer that the operator gave, and has a new question in the new release."""
    config = f". /usr/share/debconf/confmodule\ndb_input high lab-debconf/mode || true\ndb_input critical lab-debconf/q{number} || true\ndb_go || true\n"
    postinst = (
        'if [ "$1" = configure ]; then\n. /usr/share/debconf/confmodule\ndb_get lab-debconf/mode\n'
        'mkdir -p /var/lib/lab\necho "$RET" >/var/lib/lab/mode\ndb_stop\nfi\n'
    )
    return Package(
        "lab-debconf",
        VERSIONS[number],
        {"Depends": "debconf"},
        {f"/usr/share/lab-debconf/{number}": b"x"},
        {"config": config, "postinst": postinst},
        templates=TEMPLATES.format(name=f"q{number}", version=VERSIONS[number]),
    )


def flaky(number: str) -> Package:
    """Fails the first time it is configured in the new release."""
    # told to the disk: a power cut must not make it fail again and again
    mark = "/var/lib/lab/failed-once"
    once = f'if [ "$1" = configure ] && [ ! -e {mark} ]; then\nmkdir -p /var/lib/lab\n: >{mark}\nsync {mark} /var/lib/lab\n'
    return plain("lab-flaky", number, scripts={"postinst": once + 'echo "lab-flaky: not yet" >&2\nexit 1\nfi\n'} if number == "2" else {})


def conffile(number: str) -> Package:
    files = {ANSWER: f"# the package's, {VERSIONS[number]}\nanswer = {number}\n".encode(), "/etc/lab/plain.conf": f"plain {number}\n".encode()}
    return Package("lab-conffile", VERSIONS[number], files=files, conffiles=tuple(files), scripts={"postinst": sleeping(0.3)})


def rebuild(number: str) -> Package:
    """Works when others were installed, as ldconfig, man-db or initramfs-tools do."""
    return plain("lab-trigger", number, triggers="interest lab-rebuild\n", scripts={"postinst": sleeping(1.2, "triggered")})


def split(number: str) -> list[Package]:
    version, parts = VERSIONS[number], {"/usr/share/lab-split/a": b"a" * 2000, "/usr/share/lab-split/b": b"b" * 2000}
    if number == "1":
        return [Package("lab-split", version, files=parts)]
    moved = parts.pop("/usr/share/lab-split/b")
    data = Package(
        "lab-split-data", version, {"Breaks": f"lab-split (<< {version})", "Replaces": f"lab-split (<< {version})"}, {"/usr/share/lab-split/b": moved}
    )
    return [Package("lab-split", version, {"Depends": f"lab-split-data (= {version})"}, parts), data]


def large(number: str) -> Package:
    content = Random(f"large {number}").randbytes(LARGE)  # noqa: S311 (it only must not compress)
    return Package("lab-large", VERSIONS[number], files={"/usr/share/lab-large/data": content})


def common(number: str) -> list[Package]:
    """What both releases have."""
    out = [release(number), daemon(number), asking(number), flaky(number), conffile(number), rebuild(number), large(number), *split(number)]
    out.append(plain("lab-lib", number, scripts={"postinst": sleeping(0.4)}))
    for index in (1, 2):
        scripts = {"preinst": sleeping(0.3, "upgrade"), "postinst": sleeping(0.9), "prerm": sleeping(0.2, "upgrade")}
        out.append(plain(f"lab-slow{index}", number, scripts=scripts, triggers="activate lab-rebuild\n"))
    out.extend(plain(f"lab-plain{index}", number, triggers="activate-noawait lab-rebuild\n" if index % 2 else "") for index in range(1, 7))
    return out


@functools.cache
def packages() -> dict[str, list[Package]]:
    """{suite: its packages}."""
    gone = plain("lab-gone", "1", scripts={"prerm": sleeping(0.8, "remove")})
    before = Package("lab-before", VERSIONS["1"], files={"/etc/lab/before.d/10-lab.conf": b"before\n", "/usr/bin/lab-tool": b"#!/bin/sh\necho 1\n"})
    before.conffiles, before.scripts = ("/etc/lab/before.d/10-lab.conf",), {"prerm": sleeping(0.5, "remove")}
    replaces = dict.fromkeys(("Conflicts", "Replaces", "Provides"), "lab-before")
    after = Package("lab-after", VERSIONS["2"], replaces, {"/usr/bin/lab-tool": b"#!/bin/sh\necho 2\n"}, {"postinst": sleeping(0.6)})
    old = [*common("1"), gone, before, plain("lab-patch", "p"), Package("lab-meta", VERSIONS["1"], {"Depends": "lab-before, lab-gone, lab-patch"})]
    new = [
        *common("2"),
        after,
        plain("lab-patch", "2"),
        plain("lab-daemon-common", "2"),
        Package("lab-meta", VERSIONS["2"], {"Depends": "lab-after, lab-patch"}),
    ]
    return {OLD: old, NEW: new}


def installed() -> list[Package]:
    """What a host has before the upgrade: all of the old suite, and lab-patch as it was before its patch."""
    return [p for p in packages()[OLD] if p.name != "lab-patch"] + [plain("lab-patch", "1")]


def expected() -> dict[str, str]:
    """{package: version} of what a host has after the upgrade, for all packages of these suites."""
    return {package.name: package.version for package in packages()[NEW]}


def gone() -> list[str]:
    """Packages that are no longer installed after the upgrade."""
    return sorted({p.name for p in packages()[OLD]} - set(expected()))


def build(package: Package, folder: Path) -> Path:
    """Make the package's archive below a folder with dpkg-deb; its path."""
    with tempfile.TemporaryDirectory(prefix="intact-t-deb-") as name:
        tree = Path(name)
        tree.chmod(0o755)
        for path, content in package.files.items():
            target = tree / path.lstrip("/")
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content)
            target.chmod(0o755 if "/bin/" in path else 0o644)
        control = tree / "DEBIAN"
        control.mkdir()
        size = sum(len(content) for content in package.files.values()) // 1024 + 8
        fields = {"Package": package.name, "Version": package.version, "Architecture": "all", "Maintainer": "Lab <lab@example.com>"}
        fields |= {"Installed-Size": str(size), **package.fields, "Description": "package of a test"}
        (control / "control").write_text("".join(f"{key}: {value}\n" for key, value in fields.items()))
        if package.conffiles:
            (control / "conffiles").write_text("".join(path + "\n" for path in package.conffiles))
        for word in ("triggers", "templates"):
            if getattr(package, word):
                (control / word).write_text(getattr(package, word))
        for script, text in package.scripts.items():
            path = control / script
            # debconf's library starts the script anew under its frontend: what is told stands after it
            path.write_text("#!/bin/sh\nset -e\n" + (text if script == "config" else TELL + text))
            path.chmod(0o755)
        target = folder / package.archive
        argv = ["dpkg-deb", "--root-owner-group", "-Znone" if package.name == "lab-large" else "-Zgzip", "--build", str(tree), str(target)]
        subprocess.run(argv, check=True, stdout=subprocess.DEVNULL)
    return target


def stanza(archive: Path) -> str:
    """The record of an archive in a Packages file."""
    control = subprocess.run(["dpkg-deb", "-f", str(archive)], check=True, capture_output=True, text=True).stdout.rstrip("\n")
    data = archive.read_bytes()
    hashes = f"MD5sum: {hashlib.md5(data).hexdigest()}\nSHA256: {hashlib.sha256(data).hexdigest()}"
    return f"{control}\nFilename: pool/{archive.name}\nSize: {len(data)}\n{hashes}\n\n"


def write_suite(root: Path, suite: str, archives: list[Path], architecture: str) -> None:
    """The index of one suite: Packages and Release."""
    folder = root / "dists" / suite
    binary = folder / "main" / f"binary-{architecture}"
    binary.mkdir(parents=True)
    text = "".join(stanza(archive) for archive in archives).encode()
    (binary / "Packages").write_bytes(text)
    (binary / "Packages.gz").write_bytes(gzip.compress(text, mtime=0))
    lines = [f"Origin: Lab\nLabel: Lab\nSuite: {suite}\nCodename: {suite}\nArchitectures: {architecture}\nComponents: main"]
    lines += ["Date: Sat, 01 Nov 2025 00:00:00 UTC\nSHA256:"]
    for path in sorted(binary.iterdir()):
        data = path.read_bytes()
        lines.append(f" {hashlib.sha256(data).hexdigest()} {len(data)} {path.relative_to(folder)}")
    (folder / "Release").write_text("\n".join(lines) + "\n")


def write_repository(root: Path, architecture: str) -> list[Path]:
    """Make the repository below a folder; archives of what a host has before the upgrade."""
    pool = root / "pool"
    pool.mkdir(parents=True)
    for suite, wanted in packages().items():
        write_suite(root, suite, [build(package, pool) for package in wanted], architecture)
    base = root / "installed"
    base.mkdir()
    return [build(package, base) for package in installed()]
