# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""LUKS 1 and 2: the header's open part (cryptsetup's on-disk format). Keys are not touched."""

from __future__ import annotations

import json
import struct

from ansible_collections.intact.hosting.plugins.module_utils._disks._names import label
from ansible_collections.intact.hosting.plugins.module_utils._files import escape

MAGICS = (b"LUKS\xba\xbe", b"SKUL\xba\xbe")
# Where the second header of version 2 may lie.
SECOND = tuple(0x4000 << shift for shift in range(9))


def probe(device):
    """{version uuid label cipher data_offset backup_header} of an encrypted volume, or None. backup_header: the first header is broken, the second is read."""
    data = device.at(0, 592)
    if data[:6] == MAGICS[0]:
        return _read(device, data, 0)
    for place in SECOND:
        data = device.at(place, 592)
        if data[:6] == MAGICS[1] and data[6:8] == b"\0\2" and struct.unpack_from(">Q", data, 256)[0] == place:
            return dict(_read(device, data, place), backup_header=True)
    return None


def _read(device, data, place):
    version = struct.unpack_from(">H", data, 6)[0]
    out = {"version": version, "uuid": label(data[168:208])}
    if version == 1:
        out.update(cipher="%s-%s" % (label(data[8:40]), label(data[40:72])), data_offset=struct.unpack_from(">I", data, 104)[0] * 512)
    elif version == 2:
        out["label"] = label(data[24:72])
        size = min(struct.unpack_from(">Q", data, 8)[0], 1 << 22)
        try:
            text = device.at(place + 4096, size - 4096).split(b"\0", 1)[0]
            segment = json.loads(text.decode("utf-8"))["segments"]["0"]
            out.update(cipher=escape(str(segment.get("encryption", ""))), data_offset=int(segment["offset"]))
        except (ValueError, KeyError, TypeError, AttributeError):
            pass  # the header's text is damaged: what it would have told stays away
    return out
