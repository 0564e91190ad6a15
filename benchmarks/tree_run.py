# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Our engine in a process of its own: tree_run.py copy|xxh3|verified|manifest SOURCE WORK, check TARGET WORK, compare BEFORE AFTER SHIFT."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "collections"))

from ansible_collections.intact.hosting.plugins.module_utils._trees import _compare, _copy, _manifest, _verify


class Shift:
    """Ids moved by a number."""

    def __init__(self, by: int) -> None:
        self.by = by

    def uid(self, number: int) -> int:
        """Also for groups."""
        return number + self.by

    gid = uid


def main(what: str, *given: str) -> int:
    if what in ("copy", "verified", "xxh3"):
        source, work = given
        manifest = f"{work}/manifest.gz"
        found = _copy.Copier(source, f"{work}/target", state=f"{work}/state", manifest=manifest, digest="xxh3" if what == "xxh3" else "sha256").run()[
            "findings"
        ]
        if what == "verified":
            found += _verify.verify(f"{work}/target", manifest)["findings"]
    elif what == "manifest":
        found = _manifest.Manifest(given[0], f"{given[1]}/manifest.gz").run()["findings"]
    elif what == "check":
        found = _verify.verify(given[0], f"{given[1]}/manifest.gz", device=False)["findings"]
    else:
        comparison = _compare.compare(given[0], given[1], Shift(int(given[2])) if int(given[2]) else None)
        print(sum(1 for _difference in comparison), comparison.counts)
        return 0
    for finding in found:
        print(finding.id, finding.subject, finding.evidence)
    return int(what != "check" and any(finding.severity == "blocker" for finding in found))


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
