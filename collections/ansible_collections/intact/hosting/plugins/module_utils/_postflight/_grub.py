# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""What GRUB will do at the next boot, from its configuration. Pure. Format: grub.cfg, grubenv, entries of the Boot Loader Specification."""

from __future__ import annotations

import re

HEAD = re.compile(r"^\s*(menuentry|submenu)\s+(?:'([^']*)'|\"([^\"]*)\"|(\S+))(.*)\{\s*$")
IDENT = re.compile(r"(?:\$menuentry_id_option|--id)[ =]'?\"?([^\s'\"]+)")
KERNEL = re.compile(r"^\s*(?:linux(?:16|efi)?|chainloader)\s+(\S+)")
INITRD = re.compile(r"^\s*initrd(?:16|efi)?\s+(.+?)\s*$")


def menu(text):
    """The entries of grub.cfg: list of {title, id, linux, initrd: [paths]}, and {title, id, entries: [...]} for a submenu."""
    top = []
    stack = [("", top)]
    for line in text.splitlines():
        head = HEAD.match(line)
        if head:
            ident = IDENT.search(head.group(5))
            entry = {"title": head.group(2) or head.group(3) or head.group(4) or "", "id": ident.group(1) if ident else ""}
            if head.group(1) == "submenu":
                entry["entries"] = []
            else:
                entry.update(linux="", initrd=[])
            holder = next((held for kind, held in reversed(stack) if kind in ("", "submenu")), top)
            holder.append(entry)
            stack.append((head.group(1), entry["entries"] if head.group(1) == "submenu" else entry))
        elif re.search(r"(^|\s)\{\s*$", line) and not line.lstrip().startswith("#"):
            stack.append(("other", None))
        elif line.strip() == "}" and len(stack) > 1:
            stack.pop()
        elif stack[-1][0] == "menuentry":
            kernel, initrd = KERNEL.match(line), INITRD.match(line)
            if kernel:
                stack[-1][1]["linux"] = kernel.group(1)
            elif initrd:
                stack[-1][1]["initrd"] = initrd.group(1).split()
    return top


def environment(data):
    """{name: value} of grubenv (1024 bytes, filled up with #)."""
    lines = data.decode("utf-8", "replace").splitlines()
    return dict(line.split("=", 1) for line in lines if "=" in line and not line.startswith("#"))


def default_name(text, env):
    """What grub.cfg will start: an index or a name, > between levels. next_entry counts once, and the next boot is that once."""
    if env.get("next_entry"):
        return env["next_entry"]
    names = [name for name in re.findall(r"^\s*set default=\"?([^\"\n]*?)\"?\s*$", text, re.M) if "next_entry" not in name]
    name = names[-1] if names else "0"
    return (env.get("saved_entry") or "0") if "saved_entry" in name else name


def chosen(entries, name):
    """The entry that a default means, or None without entries. As GRUB does it: what is not found is the first one."""
    here, entry = entries, None
    for part in name.split(">"):
        entry = here[int(part)] if part.isdigit() and int(part) < len(here) else next((e for e in here if part in (e["title"], e["id"]) and part), None)
        if entry is None:
            break
        here = entry.get("entries", [])
    while entry is None or "entries" in entry:
        held = entries if entry is None else entry["entries"]
        if not held:
            return None
        entry = held[0]
    return entry


def flat(entries):
    """Every entry that starts something, those of submenus too."""
    for entry in entries:
        if "entries" in entry:
            yield from flat(entry["entries"])
        else:
            yield entry


def specified(texts):
    """Entries of /boot/loader/entries/*.conf, newest version first as GRUB and systemd-boot list them. texts: {file's name: text}."""
    out = []
    for name, text in texts.items():
        fields = {}
        for line in text.splitlines():
            key, _blank, value = line.strip().partition(" ")
            fields.setdefault(key, value.strip())
        entry = {"title": fields.get("title", ""), "id": re.sub(r"\.conf$", "", name), "linux": fields.get("linux", "")}
        out.append(dict(entry, initrd=fields.get("initrd", "").split(), version=fields.get("version", "")))
    return out
