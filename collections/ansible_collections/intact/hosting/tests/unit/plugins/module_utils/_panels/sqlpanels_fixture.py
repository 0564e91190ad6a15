# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later

"""Hosts below a directory with what real Mailman 3, PostfixAdmin and Modoboa left in their databases (recorded/), and exports of them with damage in them."""

from __future__ import annotations

import http.server
import json
import os
import pathlib
import socket
import sqlite3
import threading

from ansible_collections.intact.hosting.plugins.module_utils._backup._rooted import Rooted
from ansible_collections.intact.hosting.plugins.module_utils._command import Result
from ansible_collections.intact.hosting.plugins.module_utils._panels import _export, _verify

RECORDED = pathlib.Path(__file__).resolve().parent / "recorded"
# What the recorded panels keep secret: passwords in the clear, and the beginnings of all hashes.
SECRETS = ("Geheim", "PLANTED", "$6$", "KG3dO4")


def recorded(name):
    data = (RECORDED / name).read_bytes()
    # Modoboa ends lines as CSV has it; the repository keeps them as text
    return data.replace(b"\n", b"\r\n") if name.endswith(".csv") else data


class Host(Rooted):
    """A host below a directory. said: {last words of a command: answer (bytes) or (status, bytes, bytes)}; rest: a Rest that answers on port 8001."""

    said, rest = {}, None

    def account(self, number):
        return "panel"

    def group(self, number):
        return "panel"

    def which(self, program):
        return "/usr/bin/" + program if program in ("unshare", "setpriv", "redis-server") else None

    def run(self, argv, timeout=120, stdin=b"", env=None, check=True):
        answer = next((told for words, told in self.said.items() if tuple(argv[-len(words) :]) == words), None)
        if answer is None:
            return super().run(argv, timeout, stdin, env, check)
        status, out, err = answer if isinstance(answer, tuple) else (0, answer, b"")
        return Result(tuple(argv), status, out, err)

    def dial(self, address, port, timeout=10):
        if not self.rest:
            raise ConnectionRefusedError(111, "Connection refused")
        return socket.create_connection(("127.0.0.1", self.rest.port), timeout)


class Rest:
    """Mailman's REST interface as it answered: every resource that the driver asks for, made from the recorded document."""

    def __init__(self, document, password="PLANTED-rest-password"):
        told, wanted = _resources(document), _basic("restadmin:" + password)

        class Answer(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                found = told.get(self.path.split("?")[0])
                status = 401 if self.headers.get("Authorization") != wanted else 200 if found is not None else 404
                body = json.dumps(_page(found, self.path) if status == 200 else {}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_words):
                """Nothing to the terminal."""

        self._server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Answer)
        self.port = self._server.server_address[1]
        threading.Thread(target=self._server.serve_forever, args=(0.02,), daemon=True).start()

    def close(self):
        self._server.shutdown()
        self._server.server_close()


def _basic(login):
    import base64

    return "Basic " + base64.b64encode(login.encode()).decode()


def _resources(document):
    out = {"/3.1/system/versions": document["versions"], "/3.1/domains": document["domains"], "/3.1/lists": []}
    for name, held in document["lists"].items():
        out["/3.1/lists"].append({"list_id": held["list_id"], "fqdn_listname": name})
        place = "/3.1/lists/%s/" % held["list_id"]
        for what in ("config", "archivers", "bans", "header-matches", "uris"):
            out[place + what] = held[what]
        for role in ("member", "owner", "moderator", "nonmember"):
            out[place + "roster/" + role] = held[role]
    return out


def _page(found, path):
    if isinstance(found, dict):
        return dict(found, http_etag="x")
    words = dict(pair.split("=") for pair in path.partition("?")[2].split("&") if pair)
    size, number = int(words["count"]), int(words["page"])
    entries = found[size * (number - 1) : size * number]
    return {"start": 0, "total_size": len(found), "entries": entries} if entries else {"start": 0, "total_size": len(found)}


def put(root, files):
    for path, data in files.items():
        place = pathlib.Path(str(root)) / path.lstrip("/")
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_bytes(data if isinstance(data, bytes) else data.encode())


def database(root, path, script, *statements):
    """An SQLite file with what was recorded; statements change it."""
    place = pathlib.Path(str(root)) / path.lstrip("/")
    place.parent.mkdir(parents=True, exist_ok=True)
    connection = sqlite3.connect(str(place))
    if script:
        connection.executescript(recorded(script).decode())
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()


def host(root, files, said=None, rest=None):
    put(root, dict({"/etc/hostname": "lists1\n", "/etc/machine-id": "aa11\n"}, **files))
    out = Host(os.fsencode(str(root)))
    out.said, out.rest = said or {}, rest
    return out


class Exported:
    """What became of an export: its inventory, its findings and verdict, and what its driver said."""

    def __init__(self, root, driver, system, change=None, mode="settings"):
        self.found = driver.detect(system)
        self.lines = []
        self.inventory = driver.inventory(system, self.found)
        with _export.begin(driver.NAME, mode, os.path.join(str(root), "exports")) as work:
            self.made = driver.export(system, self.found, mode, work.target, self.lines.append)
            if change:
                change(pathlib.Path(work.target))
            self.made["files"] = [entry for entry in self.made["files"] if os.path.exists(os.path.join(work.target, entry["name"]))]
            facts = {"version": self.found["version"], "met": driver.MET, "host": "lists1", "host_id": "aa11", "seconds": 1.0}
            document = _export.store(work, self.made, self.inventory, facts, None)
            self.findings, self.verdict = _verify.judge(driver, _verify.Opened(work.path, None, document))
            self.path = _export.seal(work, dict(document, verdict=self.verdict))
            self.opened = _verify.Opened(self.path)

    def told(self, severity="blocker"):
        """[(id, subject)] of the findings of a severity."""
        return sorted((finding.id, finding.subject) for finding in self.findings if finding.severity == severity)

    def text(self):
        """Everything that a person or a log may see of it."""
        return "\n".join([json.dumps(finding.as_dict()) for finding in self.findings] + self.lines + [json.dumps(self.made)])


def sql(path, *statements):
    """Change a copy in an export."""
    connection = sqlite3.connect(str(path))
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    connection.close()
