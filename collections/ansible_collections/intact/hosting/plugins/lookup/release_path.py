# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""The data of a release path: what is known about going from one release to the next."""

from __future__ import annotations

DOCUMENTATION = r"""
name: release_path
short_description: Data of a release path
version_added: 0.1.0
description:
  - Gives what is known about going from one release to the next, such as V(debian-12-13).
  - A file of the operator's own, in the directory of O(directory), wins over the one that comes with the role P(intact.hosting.distro_upgrade#role).
author:
  - Intact contributors (@intact-project)
options:
  _terms:
    description: Names of release paths, or shell patterns such as V(debian-12-*) that exactly one must match (but see O(every)).
    type: list
    elements: str
    required: true
  every:
    description: Give all release paths that a pattern matches, which may be none.
    type: bool
    default: false
  directory:
    description: Directory on the controller with release paths of the operator's own. Empty is none.
    # Not path: that would make the current directory of an empty one.
    type: str
    default: ''
    vars:
      - name: intact_release_paths_dir
"""

EXAMPLES = r"""
- name: Show what the upgrade is expected to remove
  ansible.builtin.debug:
    msg: "{{ lookup('intact.hosting.release_path', 'debian-12-13')['expected_removals'] }}"

- name: Show which releases can be reached
  ansible.builtin.debug:
    msg: "{{ query('intact.hosting.release_path', '*', every=true) | map(attribute='target.codename') | unique }}"
"""

RETURN = r"""
_raw:
  description: The data of each release path.
  type: list
  elements: dict
"""

import fnmatch
import os
import re

import yaml
from ansible.errors import AnsibleLookupError
from ansible.plugins.lookup import LookupBase
from ansible.utils.path import unfrackpath

NAME = re.compile(r"^[a-z0-9][a-z0-9.*?_-]*$")
NEEDED = ("name", "source", "target")


def directories(own):
    """Where release paths lie, the operator's own directory first: in the collection, and in the tree it is developed in."""
    here = os.path.dirname(os.path.realpath(__file__))
    collection = os.path.dirname(os.path.dirname(here))
    return [path for path in (unfrackpath(own) if own else "", os.path.join(collection, "roles", "distro_upgrade", "release_paths")) if path]


def known_paths(places):
    """{name: file} of all release paths; of two files with one name that of the first place."""
    known = {}
    for place in reversed(places):
        if os.path.isdir(place):
            known.update({entry[:-4]: os.path.join(place, entry) for entry in sorted(os.listdir(place)) if entry.endswith(".yml")})
    return known


def find_every(pattern, places):
    """Files of all release paths that a pattern means, sorted by name."""
    return [path for name, path in sorted(known_paths(places).items()) if fnmatch.fnmatchcase(name, pattern)]


def whole_releases(name, known):
    """Release paths that start from the release as a whole, for a pattern ID-VERSION-* with a minor version (almalinux-8.10-*: almalinux-8-9)."""
    found = re.match(r"^(.*-[0-9]+)[.][0-9.]+-[*]$", name)
    return sorted(entry for entry in known if found and fnmatch.fnmatchcase(entry, found.group(1) + "-*"))


def find(name, places):
    """Path of the one file that a name or pattern means; AnsibleLookupError says which there are."""
    known = known_paths(places)
    if not NAME.match(name or ""):
        raise AnsibleLookupError("%r is not the name of a release path; there are: %s" % (name, ", ".join(sorted(known)) or "none"))
    matching = sorted(entry for entry in known if fnmatch.fnmatchcase(entry, name))
    whole = whole_releases(name, known)
    if not matching and whole:
        raise AnsibleLookupError(
            "no release path is named after this minor version (%s). %s from it as a whole, which somebody must say: set intact_release_path to %s"
            % (name[:-2], ", ".join(whole) + (" starts" if len(whole) == 1 else " start"), " or ".join(whole))
        )
    if len(matching) != 1:
        raise AnsibleLookupError(
            "%s release path %s; there are: %s. Write one below %s, or set intact_release_path"
            % ("more than one" if matching else "no", name, ", ".join(sorted(known)) or "none", places[0])
        )
    return known[matching[0]]


def read(path):
    """The data of a release path's file; AnsibleLookupError names what is wrong with it."""
    try:
        with open(path, encoding="utf-8") as handle:
            data = yaml.safe_load(handle)
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as exc:
        raise AnsibleLookupError("release path %s cannot be read: %s" % (path, " ".join(str(exc).split()))) from exc
    missing = [key for key in NEEDED if not isinstance(data, dict) or not data.get(key)]
    if missing:
        raise AnsibleLookupError("release path %s lacks %s" % (path, ", ".join(missing)))
    return data


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        places = directories(self.get_option("directory"))
        if self.get_option("every"):
            return [read(path) for term in terms for path in find_every(term, places)]
        return [read(find(term, places)) for term in terms]
