# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What a drill's proof proves, in a line, and where it is: proof_line PATH."""

from __future__ import annotations

import json
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "collections"))
from ansible_collections.intact.hosting.plugins.module_utils._backup import _proof


def lines(path: Path) -> list[str]:
    proof = json.loads(path.read_text(encoding="utf-8"))
    return [f"backup: {_proof.summary(proof)}", f"proof:  {path}"]


if __name__ == "__main__":
    print("\n".join(lines(Path(sys.argv[1]))))
