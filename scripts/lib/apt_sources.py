# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Where this machine gets Debian packages from, so that the lab gets them from there too."""

from __future__ import annotations

import re
import subprocess
import urllib.error
import urllib.request
from collections.abc import Callable, Iterable
from pathlib import Path

# What a guest must share with this machine to reach the same mirrors.
SHARED_APT_OPTIONS = (
    "Acquire::http::Proxy",
    "Acquire::https::Proxy",
    "Acquire::Check-Valid-Until",
    "Acquire::Check-Date",
)


def parse_list(text: str) -> list[str]:
    """URIs of the one-line format, in order; disabled and source lines are left out."""
    uris = []
    for raw in text.splitlines():
        line = raw.split("#", 1)[0].strip()
        match = re.match(r"deb\s+(?:\[[^\]]*\]\s+)?(\S+)\s+\S+", line)
        if match:
            uris.append(match.group(1))
    return uris


def parse_deb822(text: str) -> list[str]:
    """URIs of the deb822 format, in order; disabled stanzas and pure source stanzas are left out."""
    uris: list[str] = []
    for stanza in re.split(r"\n[ \t]*\n", text):
        fields: dict[str, str] = {}
        key = ""
        for line in stanza.splitlines():
            if line.startswith("#") or not line.strip():
                continue
            if line[0] in " \t":
                fields[key] = fields.get(key, "") + " " + line.strip()
            elif ":" in line:
                key, value = line.split(":", 1)
                key = key.strip().lower()
                fields[key] = value.strip()
        if fields.get("enabled", "yes").lower() in ("no", "false", "0"):
            continue
        if "deb" in fields.get("types", "").split():
            uris.extend(fields.get("uris", "").split())
    return uris


def configured_uris(root: Path = Path("/etc/apt")) -> list[str]:
    """HTTP(S) URIs of this machine's apt configuration, each once, in apt's own reading order."""
    files = [root / "sources.list"]
    parts = root / "sources.list.d"
    if parts.is_dir():
        files += sorted(p for p in parts.iterdir() if p.suffix in (".list", ".sources"))
    found: list[str] = []
    for path in files:
        if path.is_file():
            text = path.read_text(encoding="utf-8", errors="replace")
            found += parse_deb822(text) if path.suffix == ".sources" else parse_list(text)
    clean = [uri.rstrip("/") for uri in found if re.match(r"https?://", uri)]
    return list(dict.fromkeys(clean))


def shared_options() -> list[str]:
    """apt options of this machine in apt.conf form; empty when apt-config is missing."""
    try:
        dump = subprocess.run(["apt-config", "dump"], capture_output=True, text=True, check=True).stdout
    except (OSError, subprocess.CalledProcessError):
        return []
    return [line for line in dump.splitlines() if line.split(" ", 1)[0] in SHARED_APT_OPTIONS and '""' not in line]


def is_debian_release(text: str) -> bool:
    """True for a Release file of Debian itself (third-party archives use Debian's suite names too)."""
    return bool(re.search(r"^Origin:\s*Debian\s*$", text, re.MULTILINE))


def proxies(options: Iterable[str]) -> dict[str, str]:
    """Proxies of apt options in apt.conf form, by scheme; those that apt is told to do without (DIRECT) are left out."""
    found = {}
    for line in options:
        match = re.match(r'Acquire::(https?)::Proxy "(.+)";', line)
        if match and match.group(2) != "DIRECT":
            found[match.group(1)] = match.group(2)
    return found


def fetch_release(uri: str, suite: str, timeout: float = 20.0) -> str:
    """Release file of one suite, or an empty string when this mirror does not carry it."""
    # apt's proxy wins over the environment's, as it does for apt itself.
    given = proxies(shared_options())
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({**urllib.request.getproxies(), **given}))
    for name in ("InRelease", "Release"):
        try:
            with opener.open(f"{uri}/dists/{suite}/{name}", timeout=timeout) as answer:
                return answer.read(65536).decode("utf-8", "replace")
        except (urllib.error.URLError, OSError, ValueError):
            continue
    return ""


def source_lines(
    codename: str,
    uris: Iterable[str],
    components: str = "main",
    fetch: Callable[[str, str], str] = fetch_release,
) -> list[str]:
    """`deb` lines for a Debian release from the mirrors that really carry its suites.

    The release itself comes first; `-updates` and `-security` are left out when no mirror has them
    (a release that went to the archive). An empty list means that no mirror carries the release.
    """
    candidates = list(uris)
    lines = []
    for suite in (codename, codename + "-updates", codename + "-security"):
        for uri in candidates:
            if is_debian_release(fetch(uri, suite)):
                lines.append(f"deb {uri} {suite} {components}")
                break
        else:
            if suite == codename:
                return []
    return lines
