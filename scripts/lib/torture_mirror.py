# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""A mirror for one host, over HTTP, slow enough to be cut, which goes away and comes back on the same port."""

from __future__ import annotations

import http.server
import socket
import socketserver
import threading
import time
from functools import partial
from pathlib import Path

PIECE = 64 * 1024
BYTES_PER_SECOND = 8 * 1000 * 1000
PAUSE = 0.05


class Handler(http.server.SimpleHTTPRequestHandler):
    """Files of the repository, each with a pause before it and at a limited speed."""

    protocol_version = "HTTP/1.1"

    def log_message(self, *words: object) -> None:
        """Nothing."""

    def copyfile(self, source, outputfile) -> None:  # type: ignore[no-untyped-def]
        time.sleep(PAUSE)
        while piece := source.read(PIECE):
            outputfile.write(piece)
            time.sleep(len(piece) / BYTES_PER_SECOND)


class Server(socketserver.ThreadingMixIn, http.server.HTTPServer):
    """Knows its connections, so that it can drop them."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, *args: object, **more: object) -> None:
        self.connections: set[socket.socket] = set()
        super().__init__(*args, **more)  # type: ignore[arg-type]

    def process_request(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        self.connections.add(request)
        super().process_request(request, client_address)

    def shutdown_request(self, request) -> None:  # type: ignore[no-untyped-def]
        self.connections.discard(request)
        super().shutdown_request(request)

    def handle_error(self, request, client_address) -> None:  # type: ignore[no-untyped-def]
        """A client that was killed is no error."""


class Mirror:
    """Serves a folder; `port` stays the same."""

    def __init__(self, folder: Path, address: str) -> None:
        self.folder, self.address, self.port = folder, address, 0
        self._server: Server | None = None

    def start(self) -> None:
        if self._server:
            return
        handler = partial(Handler, directory=str(self.folder))
        deadline = time.monotonic() + 20
        while True:
            try:
                self._server = Server((self.address, self.port), handler)
                break
            except OSError:
                # connections of the time before still hold the port
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.2)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True).start()

    def stop(self) -> None:
        """Go away: nobody listens, and who was being served is cut off."""
        server, self._server = self._server, None
        if not server:
            return
        server.shutdown()
        server.server_close()
        for connection in list(server.connections):
            try:
                connection.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue
