# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""No committed file names a package mirror, a package registry or a container registry, nor a path of one machine.

Mirrors come from each machine's own configuration; a name in the tree would work on its author's network only.
Documentation hosts (wiki, bug tracker, release notes) are fine.
"""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# Written with bracketed dots and in pieces, so that the file that forbids the names does not hold them.
FORBIDDEN = {
    "package mirror": r"\b(?:deb|ftp(?:\.\w+)?|http(?:redir)?|security|snapshot|archive|cdn-\w+)\.debian[.](?:org|net)\b"
    r"|\b(?:\w+\.)?(?:archive|security|ports|old-releases)\.ubuntu[.]com\b"
    r"|\b(?:mirror\w*|vault|dl|download)\.(?:centos|almalinux|rockylinux|fedoraproject|opensuse)[.]org\b",
    "package registry": r"\bpypi[.]org\b|\bpythonhosted[.]org\b|\bregistry\.npmjs[.]org\b|\bgalaxy\.ansible[.]com\b|\brubygems[.]org\b",
    "container registry": r"\b(?:registry[\w-]*|index)\.docker[.]io\b|\bdocker[.]io/|\bghcr[.]io\b|\bquay[.]io\b|\bgcr[.]io\b"
    r"|\bregistry\.(?:access\.)?(?:redhat[.]com|redhat[.]io|fedoraproject[.]org)\b|\bpublic\.ecr[.]aws\b|\bmcr\.microsoft[.]com\b",
}
# A path that exists on one developer's machine only. /workspace and the like are other words.
MACHINE_PATH = re.compile(r"(?<![\w./-])/(?:work/(?:main|shared)|tmp/brief)\b")


def committed(root: Path) -> list[Path]:
    """Files that are, or would be, committed."""
    listing = subprocess.run(
        ["git", "-C", str(root), "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        capture_output=True,
        check=True,
    ).stdout
    return [root / name.decode() for name in listing.split(b"\0") if name]


def problems(name: str, text: str) -> list[str]:
    """`file:line: what` for each forbidden name in one file's text."""
    found = []
    for number, line in enumerate(text.splitlines(), 1):
        for what, pattern in FORBIDDEN.items():
            match = re.search(pattern, line, re.IGNORECASE)
            if match:
                found.append(f"{name}:{number}: names a {what}: {match.group(0)}")
        match = MACHINE_PATH.search(line)
        if match:
            found.append(f"{name}:{number}: names a path of one machine: {match.group(0)}")
    return found


def main() -> int:
    root = Path(__file__).resolve().parents[2]
    found = []
    for path in committed(root):
        if path.is_symlink() or not path.is_file() or path.name == "LICENSE":
            continue
        found += problems(str(path.relative_to(root)), path.read_bytes().decode("utf-8", "replace"))
    print("\n".join(found))
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
