# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""What earlier flights took, from the copies that the controller keeps."""

from __future__ import annotations

DOCUMENTATION = r"""
name: flight_history
short_description: What earlier flights took
version_added: 0.1.0
description:
  - Reads the journals of the newest upgrades in the controller's flights and gives the seconds of their stages, for the estimate of the next one.
  - Reads a few only, so that what it costs does not grow with the number of flights. A directory that is not there gives nothing.
author:
  - Intact contributors (@intact-project)
options:
  _terms:
    description: Directories on the controller with a folder for each flight.
    type: list
    elements: str
    required: true
  most:
    description: How many flights are told at most.
    type: int
    default: 12
"""

EXAMPLES = r"""
- name: Show how long the last full upgrades took
  ansible.builtin.debug:
    msg: "{{ query('intact.hosting.flight_history', 'flights') | map(attribute='stages.full') }}"
"""

RETURN = r"""
_raw:
  description: A dict for each flight with C(flight), C(host), C(release_path), C(stages), C(work) and C(measures), newest first.
  type: list
  elements: dict
"""

from ansible.plugins.lookup import LookupBase
from ansible.utils.path import unfrackpath

from ansible_collections.intact.hosting.plugins.module_utils._upgrade import _history


class LookupModule(LookupBase):
    """See DOCUMENTATION."""

    def run(self, terms, variables=None, **kwargs):
        self.set_options(var_options=variables, direct=kwargs)
        out = []
        for term in terms:
            out += _history.entries(unfrackpath(term), most=self.get_option("most"))
        return out
