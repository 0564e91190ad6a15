# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
# Private to the intact.hosting collection: no promise to other callers.

"""Bytes of a device, of a part of one, or of a volume that lies in pieces: read, never written, never mapped by the kernel."""

from __future__ import annotations

PAGE = 4096
KEPT = 65536  # reads up to this size are remembered by page: on a failing disk each attempt costs seconds


class Device:
    """A block device or an image file. Raises OSError where it can't be read."""

    def __init__(self, system, path, size):
        self.system, self.path, self.size = system, path, size
        self._pages = {}

    def at(self, offset, size):
        """Bytes from offset, fewer at the end."""
        size = max(0, min(size, self.size - offset))
        if offset < 0 or not size:
            return b""
        if size > KEPT:
            return self.system.blocks(self.path, offset, size)
        first, last = offset // PAGE, (offset + size - 1) // PAGE
        self._fill(first, last)
        data = b"".join(self._page(number) for number in range(first, last + 1))
        return data[offset - first * PAGE :][:size]

    def _fill(self, first, last):
        if all(number in self._pages for number in range(first, last + 1)):
            return
        try:
            data = self.system.blocks(self.path, first * PAGE, (last - first + 1) * PAGE)
        except OSError:
            return  # page by page then: one bad sector must not hide its neighbours
        for number in range(first, last + 1):
            self._pages[number] = data[(number - first) * PAGE :][:PAGE]

    def _page(self, number):
        if number not in self._pages:
            try:
                self._pages[number] = self.system.blocks(self.path, number * PAGE, PAGE)
            except OSError as exc:
                exc.offset = number * PAGE
                self._pages[number] = exc
        page = self._pages[number]
        if isinstance(page, OSError):
            raise page
        return page

    def part(self, offset, size):
        """A window of it."""
        return Window(self, offset, max(0, min(size, self.size - offset)))

    def place(self):
        """(path, byte offset) where its first byte is, when all of it lies in one piece; else None."""
        return self.path, 0


class Window(Device):
    """A contiguous part of another one."""

    def __init__(self, of, offset, size):
        self.of, self.offset, self.size = of, offset, size

    def at(self, offset, size):
        size = max(0, min(size, self.size - offset))
        return self.of.at(self.offset + offset, size) if size and offset >= 0 else b""

    def place(self):
        whole = self.of.place()
        return (whole[0], whole[1] + self.offset) if whole else None


class Pieces(Device):
    """A volume of segments: [(start, size, stripe size or 0, [(device, offset)])] in bytes, as LVM lays them out."""

    def __init__(self, segments):
        self.segments = sorted(segments, key=lambda s: s[0])
        self.size = max((start + size for start, size, _stripe, _areas in segments), default=0)

    def at(self, offset, size):
        size, out = max(0, min(size, self.size - offset)), []
        while size > 0:
            found = next((s for s in self.segments if s[0] <= offset < s[0] + s[1]), None)
            if found is None:
                raise OSError(5, "no segment holds byte %d of the volume" % offset)
            start, length, stripe, areas = found
            inside = offset - start
            if len(areas) == 1:
                take, (device, at) = min(size, length - inside), areas[0]
                data = device.at(at + inside, take)
            else:
                row, rest = divmod(inside, stripe * len(areas))
                column, within = divmod(rest, stripe)
                take, (device, at) = min(size, stripe - within), areas[column]
                data = device.at(at + row * stripe + within, take)
            out.append(data)
            if len(data) < take:
                break
            offset, size = offset + take, size - take
        return b"".join(out)

    def place(self):
        if len(self.segments) != 1 or len(self.segments[0][3]) != 1:
            return None
        device, offset = self.segments[0][3][0]
        whole = device.place()
        return (whole[0], whole[1] + offset) if whole else None
