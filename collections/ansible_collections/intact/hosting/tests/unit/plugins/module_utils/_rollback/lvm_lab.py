# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Volumes as lvs 2.03.16 told them (--reportformat json --units b --nosuffix), with a pretended LVM that makes and removes them."""

from __future__ import annotations

import json

from ansible_collections.intact.hosting.plugins.module_utils import _command
from ansible_collections.intact.hosting.plugins.module_utils._rollback import _lvm_look

ROW = {
    "vg_name": "vg0",
    "lv_name": "",
    "lv_attr": "-wi-ao----",
    "lv_size": "10737418240",
    "origin": "",
    "pool_lv": "",
    "data_percent": "",
    "lv_tags": "",
    "lv_path": "",
    "lv_dm_path": "",
    "segtype": "linear",
}
MOUNTS = [
    {"target": "/", "source": "/dev/mapper/vg0-root", "fstype": "ext4", "fsroot": "/", "uuid": "u", "options": "rw"},
    {"target": "/boot", "source": "/dev/vda2", "fstype": "ext4", "fsroot": "/", "uuid": "b", "options": "rw"},
    {"target": "/home", "source": "/dev/mapper/vg0-home", "fstype": "ext4", "fsroot": "/", "uuid": "h", "options": "rw"},
    {"target": "/proc", "source": "proc", "fstype": "proc", "fsroot": "/", "uuid": None, "options": "rw"},
    {"target": "/var", "source": "/dev/mapper/vg0-var", "fstype": "xfs", "fsroot": "/", "uuid": "v", "options": "rw"},
]


class Cut(Exception):
    """The power goes."""


def row(name, **more):
    """A volume as lvs tells it; a hidden one has brackets and no path."""
    plain = name.strip("[]")
    path = "" if name != plain else "/dev/vg0/" + plain
    return dict(ROW, lv_name=name, lv_path=path, lv_dm_path="/dev/mapper/vg0-" + plain.replace("-", "--"), **more)


class Lvm:
    """`run` of a place: LVM's and findmnt's answers; every changing command in `calls`; `left`: commands until a cut."""

    def __init__(self, free=20 << 30):
        self.rows = {name: row(name) for name in ("root", "var", "home", "swap")}
        self.free, self.calls, self.left, self.mounts = free, [], None, MOUNTS

    def answer(self, argv, text="", rc=0):
        return _command.Result(tuple(argv), rc, text.encode(), b"")

    def run(self, argv, check=True, **_more):
        if argv[0] == "lvs":
            assert argv[argv.index("-o") + 1] == _lvm_look.LVS and argv[1:6] == ["--reportformat", "json", "--units", "b", "--nosuffix"]
            return self.answer(argv, json.dumps({"report": [{"lv": list(self.rows.values())}]}))
        if argv[0] == "vgs":
            group = {"vg_name": "vg0", "vg_free": str(self.free), "vg_extent_size": "4194304", "vg_attr": "wz--n-"}
            return self.answer(argv, json.dumps({"report": [{"vg": [group]}]}))
        if argv[0] == "findmnt":
            return self.answer(argv, json.dumps({"filesystems": self.mounts}))
        if argv[0] in ("dpkg-query", "lsblk"):
            return self.answer(argv, rc=1)
        if self.left is not None:
            if not self.left:
                raise Cut
            self.left -= 1
        if argv[0] == "lvcreate":
            name, (group, _slash, origin) = argv[argv.index("--name") + 1], argv[-1].partition("/")
            assert group == "vg0" and name not in self.rows
            self.rows[name] = row(name, lv_attr="swi-a-s---", origin=origin, lv_tags=argv[argv.index("--addtag") + 1], data_percent="0.01")
        elif argv[0] == "lvremove":
            del self.rows[argv[-1].partition("/")[2]]
        self.calls.append(argv)
        return self.answer(argv)
