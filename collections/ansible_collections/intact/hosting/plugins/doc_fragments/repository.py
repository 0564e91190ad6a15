# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""How the modules that read backups back are told of hosts, repositories and what to restore."""

from __future__ import annotations


class ModuleDocFragment:
    """Options of drill and restore."""

    DOCUMENTATION = r"""
options:
  host:
    description: The name under which the host was backed up, its name in the inventory.
    type: str
    required: true
  program:
    description: restic, by name or path.
    type: path
    default: restic
  cache_dir:
    description: Where restic keeps its cache.
    type: path
    default: /var/cache/intact/restic
"""

    RESTORE = r"""
options:
  repository:
    description: The repository to restore from.
    type: dict
    required: true
    suboptions:
      name:
        description: Its name, as in the job.
        type: str
        required: true
      url:
        description: Its address, as restic writes it, without credentials.
        type: str
        required: true
      password_file:
        description: File with its password, mode 0600.
        type: path
        required: true
      environment_file:
        description: File with further credentials as lines C(KEY=value), mode 0600.
        type: path
        default: ''
      ca_file:
        description: Certificate of the authority that signed the server's.
        type: path
        default: ''
      identity_file:
        description: SSH key for an SFTP repository.
        type: path
        default: ''
      known_hosts_file:
        description: The SFTP host's key.
        type: path
        default: ''
      append_only:
        description: Whether the repository refuses to forget. Not used when reading.
        type: bool
        default: true
      options:
        description: Extended options of restic, C(key=value).
        type: list
        elements: str
        default: []
  run:
    description: The run to restore. Empty is the newest of each class.
    type: str
    default: ''
  sites:
    description: Sites in the order in which they have to be served again.
    type: list
    elements: dict
    default: []
    suboptions:
      name:
        description: What it is called here.
        type: str
        required: true
      paths:
        description: Its docroot and its configuration files, paths or shell patterns.
        type: list
        elements: str
        default: []
      databases:
        description: Its databases, as the manifest names them (C(mariadb:shop)).
        type: list
        elements: str
        default: []
  select:
    description: Restore only these. Empty is everything.
    type: dict
    default: {}
    suboptions:
      sites:
        description: Names out of O(sites).
        type: list
        elements: str
        default: []
      paths:
        description: Files or directories.
        type: list
        elements: str
        default: []
      mailboxes:
        description: Mailboxes by user.
        type: list
        elements: str
        default: []
      databases:
        description: Databases, as the manifest names them.
        type: list
        elements: str
        default: []
      classes:
        description: Whole classes.
        type: list
        elements: str
        default: []
  system_paths:
    description: What of the class C(system) comes by itself, paths or shell patterns; a newer release has its own C(/etc). Jobs come last.
    type: list
    elements: str
    default: [/var/lib/intact/baseline.key, /var/spool/cron/crontabs]
  accept:
    description: Paths (or shell patterns) at which newer data of the host may be overwritten, and databases; what is overwritten is kept aside.
    type: list
    elements: str
    default: []
  keep:
    description: Paths (or shell patterns) at which the host's version stays.
    type: list
    elements: str
    default: []
  release_paths:
    description:
      - Release paths (see C(roles/distro_upgrade/release_paths)). On a newer release than the backup's, configuration comes to where that release reads
        it, by their key C(carry).
    type: list
    elements: dict
    default: []
  mysql_defaults_file:
    description: Option file with the login for MariaDB or MySQL on this host.
    type: path
"""
