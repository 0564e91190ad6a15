# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Repositories with their credentials as text -> the files that the text goes to, and repositories that name these files."""

from __future__ import annotations

DOCUMENTATION = r"""
name: repositories
short_description: Repositories that name files in place of credentials
version_added: 0.1.0
description:
  - Takes entries with C(password), C(environment), C(ca), C(identity) and C(known_hosts) as text
    and returns them with the paths of the files that hold these texts.
positional: _input, directory
options:
  _input:
    description: Entries with C(name), C(url), C(options) and credentials as text.
    type: list
    elements: dict
    required: true
  directory:
    description: The directory of the files; each is called C(name.part).
    type: str
    required: true
author:
  - Intact contributors (@intact-project)
"""

EXAMPLES = r"""
- name: Show what a module is given
  ansible.builtin.debug:
    msg: "{{ [{'name': 'vault', 'url': '/srv/vault', 'password': 'x'}] | intact.hosting.repositories('/run/intact') }}"
"""

RETURN = r"""
_value:
  description: Entries with C(password_file), C(environment_file) and so on, without any credential.
  type: list
  elements: dict
"""

PARTS = ("password", "environment", "ca", "identity", "known_hosts")


def repositories(entries, directory):
    """Entries that name files in place of credentials."""
    out = []
    for entry in entries:
        named = {"name": entry["name"], "url": entry["url"], "options": list(entry.get("options") or [])}
        for part in PARTS:
            if entry.get(part):
                named[part + "_file"] = "%s/%s.%s" % (directory, entry["name"], part)
        out.append(named)
    return out


class FilterModule:
    """Ansible's way to the filter."""

    def filters(self):
        return {"repositories": repositories}
