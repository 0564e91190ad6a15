# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""A stand-in for Mailman 2.1, which no distribution has any more: pickles as its Python 2 wrote them (8-bit strings, its class names, protocols 0 and 2)."""

from __future__ import annotations

import struct


class Instance:
    """An old-style instance of a class of Mailman 2."""

    def __init__(self, module, name, attributes):
        self.module, self.name, self.attributes = module, name, attributes


def dumps(value, protocol=2):
    """bytes are Python 2's str, str is its unicode."""
    return (b"\x80\x02" if protocol == 2 else b"") + _emit(value, protocol) + b"."


def _emit(value, protocol):
    if value is None:
        return b"N"
    if isinstance(value, bool):
        return (b"\x88" if value else b"\x89") if protocol == 2 else b"I0%d\n" % value
    if isinstance(value, int):
        return b"J" + struct.pack("<i", value) if protocol == 2 else b"I%d\n" % value
    if isinstance(value, float):
        return b"G" + struct.pack(">d", value) if protocol == 2 else b"F%r\n" % value
    if isinstance(value, bytes):
        if protocol == 0:
            return b"S" + repr(value)[1:].encode("ascii") + b"\n"
        return b"U" + bytes([len(value)]) + value if len(value) < 256 else b"T" + struct.pack("<i", len(value)) + value
    if isinstance(value, str):
        data = value.encode("utf-8")
        return b"X" + struct.pack("<I", len(data)) + data if protocol == 2 else b"V" + value.encode("raw-unicode-escape") + b"\n"
    if isinstance(value, Instance):
        return b"(i%s\n%s\n" % (value.module.encode(), value.name.encode()) + _emit(value.attributes, protocol) + b"b"
    if isinstance(value, dict):
        return (b"}" if protocol == 2 else b"(d") + b"".join(_emit(k, protocol) + _emit(v, protocol) + b"s" for k, v in value.items())
    if isinstance(value, (list, tuple)):
        return b"(" + b"".join(_emit(one, protocol) for one in value) + (b"l" if isinstance(value, list) else b"t")
    raise TypeError(value)


def config(name, **more):
    """The configuration of a list as Mailman 2.1 keeps it."""
    who = [b"ann@example.com", b"Bob@example.com", b"cem@example.com", b"dora@example.com"]
    lower = [a.lower() for a in who]
    out = {
        b"real_name": name.capitalize().encode(),
        b"host_name": b"lists.example.com",
        b"owner": [b"Boss@example.com"],
        b"moderator": [b"mod@example.com"],
        b"members": {lower[0]: 0, lower[1]: b"Bob@example.com"},
        b"digest_members": {lower[2]: 0, lower[3]: 0},
        b"delivery_status": {lower[0]: (2, 1200000000.0)},
        b"user_options": {lower[0]: 0, lower[1]: 128, lower[2]: 264},
        b"usernames": {lower[1]: "B\xf6b", lower[0]: b"Ann"},
        b"language": {lower[0]: b"en"},
        b"passwords": {lower[0]: b"secret-of-ann"},
        b"password": b"da39a3ee5e6b4b0d3255bfef95601890afd80709",
        b"mod_password": None,
        b"description": "Gr\xfc\xdfe an alle".encode("latin-1"),
        b"info": b"line one\r\nline two",
        b"subject_prefix": b"[alle]  ",
        b"archive": True,
        b"archive_private": 1,
        b"default_member_moderation": 0,
        b"member_moderation_action": 1,
        b"generic_nonmember_action": 2,
        b"subscribe_policy": 3,
        b"advertised": 0,
        b"max_message_size": 123,
        b"anonymous_list": 0,
        b"reply_goes_to_list": 1,
        b"preferred_language": b"de",
        b"ban_list": [b"spam@example.com"],
        b"bounce_info": {lower[0]: Instance("Mailman.Bouncer", "_BounceInfo", {b"member": lower[0], b"score": 1.0})},
        b"data_version": 98,
        b"digest_volume_frequency": 1,
    }
    out.update({key.encode(): value for key, value in more.items()})
    return out


def write(disk, name, data, root="/var/lib/mailman", protocol=2):
    """A list's directory on an old disk; data: a configuration or the bytes of a pickle."""
    disk.write("%s/lists/%s/config.pck" % (root, name), data if isinstance(data, bytes) else dumps(data, protocol))
