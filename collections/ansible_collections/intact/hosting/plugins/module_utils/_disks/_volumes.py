# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.
"""Volume groups put together from the physical volumes that were seen: logical volumes by their place on the devices, and which parts are missing."""

from __future__ import annotations

from ansible_collections.intact.hosting.plugins.module_utils._disks._device import Pieces
from ansible_collections.intact.hosting.plugins.module_utils._disks._lvm import number
from ansible_collections.intact.hosting.plugins.module_utils._files import escape


def assemble(found):
    """Turn what _lvm.probe told into volumes.

    found: [(path, device, lvm, live)] of every physical volume that was seen. Copies of one do not mix: each is told with itself, and with those others
    that are in use as it is. Returns for each one ({vg vg_uuid pv_uuid data_offset extent_size seqno said lvs [{name uuid size visible complete
    segments [{offset size type (linear | striped | other) stripe_size areas [{pv path offset}]}]}] missing [{name uuid}]}, {lv uuid: Device}), all in
    bytes; path and offset of an area are those of the device that holds it, whatever lies between.
    """
    return [_volumes(own[2], *_side(own, found)) for own in found]


def _side(own, found):
    """(metadata, {pv uuid: (path, device)}) as this physical volume may see them."""
    places, texts = {}, []
    for path, device, lvm, live in sorted(found, key=lambda f: (f is not own, f[3] != own[3])):
        copy = lvm["pv_uuid"] in places
        places.setdefault(lvm["pv_uuid"], (path, device))
        if not copy and live == own[3]:
            texts.append(lvm["metadata"])
    if own[2]["metadata"]:
        texts = [held for held in texts if held.get("id") == own[2]["metadata"].get("id")]
    else:
        texts = [held for held in texts if own[2]["pv_uuid"] in _members(held)]
    return max(texts, key=lambda held: number(held.get("seqno")), default={}), places


def _members(held):
    return [pv.get("id") for pv in _sections(held, "physical_volumes").values()]


def _sections(held, name):
    body = held.get(name)
    return {key: value for key, value in body.items() if isinstance(value, dict)} if isinstance(body, dict) else {}


def _volumes(lvm, held, places):
    out = {"pv_uuid": lvm["pv_uuid"], "data_offset": lvm["data_offset"], "said": list(lvm["said"])}
    if not held:
        return dict(out, lvs=[], missing=[]), {}
    extent = number(held.get("extent_size")) * 512
    pvs = {name: (pv.get("id"), number(pv.get("pe_start")) * 512) for name, pv in _sections(held, "physical_volumes").items()}
    missing = [{"name": name, "uuid": uuid} for name, (uuid, _start) in sorted(pvs.items()) if uuid not in places]
    lvs, devices = [], {}
    for name, body in sorted(_sections(held, "logical_volumes").items()):
        segments = [_segment(part, extent, pvs, places) for key, part in sorted(body.items()) if key.startswith("segment") and isinstance(part, dict)]
        segments.sort(key=lambda s: s["offset"])
        entry = {"name": escape(name), "uuid": str(body.get("id", "")), "size": sum(s["size"] for s in segments), "segments": segments}
        entry["visible"] = "VISIBLE" in (body.get("status") or ())
        entry["complete"] = bool(segments) and all(s["type"] != "other" and s["areas"] and all(a["path"] for a in s["areas"]) for s in segments)
        lvs.append(entry)
        if entry["complete"]:
            pieces = [(s["offset"], s["size"], s["stripe_size"], [(places[a["pv"]][1], a["offset"]) for a in s["areas"]]) for s in segments]
            devices[entry["uuid"]] = Pieces(pieces)
    for entry in lvs:
        for area in (a for s in entry["segments"] for a in s["areas"] if a["path"]):
            whole = places[area["pv"]][1].place()
            if whole:
                area["path"], area["offset"] = whole[0], whole[1] + area["offset"]
    out.update(vg=escape(str(held.get("name", ""))), vg_uuid=str(held.get("id", "")), seqno=number(held.get("seqno")))
    return dict(out, extent_size=extent, lvs=lvs, missing=missing), devices


def _segment(part, extent, pvs, places):
    kind, stripes = part.get("type"), part.get("stripes")
    out = {"offset": number(part.get("start_extent")) * extent, "size": number(part.get("extent_count")) * extent, "areas": [], "stripe_size": 0}
    if kind not in ("striped", "linear") or not isinstance(stripes, list) or len(stripes) % 2:
        return dict(out, type="other", called=escape(str(kind)))
    for name, at in zip(stripes[::2], stripes[1::2]):
        uuid, start = pvs.get(name, ("", 0))
        path = places[uuid][0] if uuid in places else ""
        out["areas"].append({"pv": uuid, "path": path, "offset": start + number(at) * extent})
    out["type"] = "striped" if len(out["areas"]) > 1 else "linear"
    if out["type"] == "striped":
        out["stripe_size"] = number(part.get("stripe_size")) * 512
        if not out["stripe_size"]:
            return dict(out, type="other", called="striped without a stripe size")
    return out
