# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The search for what nobody may see: on a lab host (files/seek.py, which tasks/witness.yml brings) and in what the controller was told.

held: {what it is: text}. A look that finds nothing because it does not look is a failure: decoys() lays texts that have to be found.
"""

from __future__ import annotations

import json
import pathlib
import secrets
import subprocess

# Names that seek.py plants a text for, and where its look has to find each.
DECOYS = {
    "log": ("file", "/var/log/lab-decoy.log"),
    "packed log": ("file", "/var/log/lab-decoy.log.1.gz"),
    "kept": ("file", "/var/lib/intact/panel/lab-decoy"),
    "temporary": ("file", "/var/tmp/lab-decoy"),
    "readable": ("readable", "/etc/lab-decoy"),
    "journal": ("journal", ""),
    "arguments": ("arguments", "/run/lab-witness"),
    "controller": ("controller", "results/decoy.json"),
}


def seek(container, held, word=""):
    """What seek.py says on a host: [(where, path, what it is)]. The texts go by standard input: arguments are looked at too."""
    argv = ["docker", "exec", "-i", container, "python3", "/usr/local/lib/lab-seek.py", *word.split()]
    done = subprocess.run(argv, input=json.dumps(held).encode(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr.decode()[-2000:]
    return [tuple(entry) for entry in json.loads(done.stdout)] if not word else None


def on_controller(held, folder, left_out):
    """[(path, what it is)] in what the controller was told and kept: all below a folder but the directory left_out, which holds secrets for the tests."""
    out = []
    for path in sorted(pathlib.Path(folder).rglob("*")):
        if path.is_file() and not path.is_symlink() and left_out not in path.parents:
            data = path.read_bytes()
            out += [(str(path.relative_to(folder)), name) for name, text in held.items() if text.encode() in data]
    return out


def decoys(container, folder, left_out):
    """A look for texts that were laid for it, and for one that was not: {name: {(where it was found, path)}}. Right is expected()."""
    held = {name: "Decoy" + secrets.token_hex(16) for name in (*DECOYS, "nowhere")}
    place = pathlib.Path(folder) / "results" / "decoy.json"
    try:
        seek(container, held, "plant")
        place.write_text(json.dumps({"x": held["controller"]}), encoding="utf-8")
        found = {name: set() for name in held}
        for where, path, name in seek(container, held):
            found[name].add((where, path))
        for path, name in on_controller(held, folder, left_out):
            found[name].add(("controller", path))
    finally:
        seek(container, {}, "remove")
        place.unlink(missing_ok=True)
    return found


def expected():
    """What decoys() has to find."""
    return dict({name: {place} for name, place in DECOYS.items()}, nowhere=set())
