# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Whose the old stores are on the new host, and mail of accounts that get no mailbox."""

from __future__ import annotations

import os
import shutil

from ansible_collections.intact.hosting.plugins.module_utils._files import escape
from ansible_collections.intact.hosting.plugins.module_utils._findings import IntactError
from ansible_collections.intact.hosting.plugins.module_utils._migration import _mail_disk, _mail_old, _maildir


def users(context):
    """({user on the new host: [Store]}, strange): by the name that the identity map gives their owner; who was not carried is strange."""
    stores, strange = _mail_old.stores(context)
    try:
        told = context.identity()
    except IntactError:
        told = None
    known, out = getattr(told, "users", None) or {}, {}
    for store in stores:
        name = store.user
        if escape(name) in known:
            name = told.user(name)
            if name is None:
                strange.append(("%s of %s" % (store.name, escape(store.user)), "the identity map carries this account to nobody"))
                continue
        out.setdefault(name, []).append(store)
    return out, strange


def keep(context, store, directory):
    """Raw copies of a store's messages below DIRECTORY/USER (root's, 0600); what is there in the same size is kept."""
    top = os.path.join(os.fsencode(directory), escape(store.user).replace("/", "_").encode())
    with _mail_disk.Place(context, store.path) as place:
        for folder in store.folders.values():
            names = [folder]
            if store.kind == "maildir":
                names = [os.path.join(folder, message["part"], message["file"]) for message in _maildir.messages(place, folder)]
            for name in names:
                _copy(place, name, os.path.join(top, name))


def _copy(place, name, target):
    source = place.open(name)
    if source is None:
        return
    with source:
        if os.path.exists(target) and os.path.getsize(target) == os.fstat(source.fileno()).st_size:
            return
        os.makedirs(os.path.dirname(target), mode=0o700, exist_ok=True)
        half = target + b".half"
        with open(half, "wb") as copy:
            os.fchmod(copy.fileno(), 0o600)
            shutil.copyfileobj(source, copy, 1 << 20)
            copy.flush()
            os.fsync(copy.fileno())
        os.rename(half, target)
