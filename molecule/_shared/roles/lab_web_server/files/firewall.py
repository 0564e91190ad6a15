# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""nftables: let in what this server serves, drop the rest."""

from __future__ import annotations

import lab


def main() -> None:
    fresh = lab.place("etc/systemd/system/nftables.service.d/own-table.conf")
    if fresh:
        lab.run("systemctl", "daemon-reload")
    fresh |= lab.place("etc/nftables.conf", 0o755)
    lab.run("nft", "-c", "-f", "/etc/nftables.conf")
    lab.service("nftables.service", reload=fresh)


if __name__ == "__main__":
    main()
