# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A release path's allowed changes, and entries of the files section to hold against them."""

from __future__ import annotations

import hashlib
from pathlib import Path

import yaml

from ansible_collections.intact.hosting.plugins.module_utils._baseline import _allowed, files
from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _plan


def rules(name):
    """The allowed changes of the release path, in the tree or in a built collection."""
    collection = Path(_plan.__file__).resolve().parents[3]
    places = [collection / "roles", *(parent / "roles" for parent in collection.parents)]
    paths = next(place / "distro_upgrade" / "release_paths" for place in places if (place / "distro_upgrade").is_dir())
    return yaml.safe_load((paths / (name + ".yml")).read_text())["allowed"]


def file(size=1000, origin="local", mode="0644", digest=None):
    """An entry for a file; what it holds follows its size."""
    return {"type": "file", "uid": 0, "gid": 0, "mode": mode, "size": size, "hash": digest or hashlib.sha256(b"x" * size).hexdigest(), "origin": origin}


def link(target, origin="local"):
    return {"type": "link", "uid": 0, "gid": 0, "target": target, "origin": origin}


def directory():
    return {"type": "dir", "uid": 0, "gid": 0, "mode": "0755"}


def left(allowed, before, after):
    """Ids of what is left of the files section's findings when the rules took theirs."""
    found = files.compare({"items": before}, {"items": after})
    return [finding.id for whole in found for rule, finding in _allowed.judged(whole, allowed) if rule is None]
