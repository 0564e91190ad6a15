# Copyright: Intact contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The lab: its inventory names the containers that are started, its places for backups are asked, and the demo upgrades without a waiver of its backup."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
from contextlib import contextmanager
from pathlib import Path

import pytest
import yaml

import lab_backup
import lab_containers
import lab_snapshot
import proof_line
import recipes
from steps import StepFailed

ROOT = Path(__file__).resolve().parents[2]
LAB = ROOT / "inventories" / "lab"


def hosts(group):
    """{name: variables} of an inventory's group, with all groups below it."""
    found = dict(group.get("hosts") or {})
    for child in (group.get("children") or {}).values():
        found.update(hosts(child))
    return found


def test_the_inventory_names_every_container_with_its_address():
    named = hosts(yaml.safe_load((LAB / "hosts.yml").read_text())["all"])
    assert {name: entry["ansible_host"] for name, entry in named.items()} == {host.short: host.ipv4 for host in lab_containers.HOSTS.values()}
    assert len({host.number for host in lab_containers.HOSTS.values()}) == len(lab_containers.HOSTS)


def test_each_container_has_an_image_that_there_is_a_recipe_for():
    known = recipes.load(ROOT / "molecule" / "_shared" / "images")
    for host in lab_containers.HOSTS.values():
        assert (host.short if host.short in lab_snapshot.HOSTS else host.recipe) in known


def test_the_backup_is_proven_and_not_waived():
    checks = yaml.safe_load((LAB / "host_vars" / "web1" / "checks.yml").read_text())
    assert not checks.get("preflight_waivers")
    backup = yaml.safe_load((LAB / "group_vars" / "hosting_servers" / "backup.yml").read_text())
    written = [(entry["name"], entry["url"]) for entry in backup["host_backup_repositories"]]
    assert written == [(entry["name"], entry["url"]) for entry in backup["restore_drill_repositories"]] and len(written) == 2
    assert backup["preflight_proof_signers"]


def test_secrets_of_the_lab_stay_out_of_the_repository():
    assert lab_backup.SECRETS.is_relative_to(ROOT / ".lab")
    ignored = (ROOT / ".gitignore").read_text().split()
    assert {"/.lab/", "/flights/", "/proofs/"} <= set(ignored)


@pytest.fixture
def secrets(tmp_path, monkeypatch):
    """lab_backup with secrets of its own: a certificate for vault, and its key."""
    if not shutil.which("openssl"):
        pytest.skip("openssl is not installed")
    monkeypatch.setattr(lab_backup, "SECRETS", tmp_path)
    argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-days", "2", "-subj", "/CN=vault"]
    argv += ["-addext", "subjectAltName=DNS:vault", "-keyout", str(tmp_path / "key.pem"), "-out", str(tmp_path / "vault.crt")]
    subprocess.run(argv, check=True, capture_output=True)
    return tmp_path


@contextmanager
def server(secrets, answer):
    """Answers one connection over TLS; its port."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(secrets / "vault.crt", secrets / "key.pem")
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve():
            raw, _address = listener.accept()
            try:
                with context.wrap_socket(raw, server_side=True) as channel:
                    channel.recv(4096)
                    channel.sendall(answer)
            except OSError:
                pass  # who asked did not like the certificate

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        yield listener.getsockname()[1]
        thread.join(timeout=10)


@pytest.mark.parametrize(
    ("answer", "words"),
    [
        (b"HTTP/1.0 401 Unauthorized\r\nContent-Length: 0\r\n\r\n", ""),
        (b"HTTP/1.0 200 OK\r\nContent-Length: 0\r\n\r\n", "answers 200 to one without a password"),
        (b"", "127.0.0.1 port"),
    ],
)
def test_vaults_store_must_ask_for_a_password(secrets, answer, words):
    with server(secrets, answer) as port:
        trouble = lab_backup.rest_trouble("127.0.0.1", port)
    assert words in trouble and bool(words) == bool(trouble)


def test_another_certificate_is_told(secrets, tmp_path_factory):
    with server(secrets, b"") as port:
        stranger = tmp_path_factory.mktemp("stranger") / "vault.crt"
        argv = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes", "-subj", "/CN=vault"]
        subprocess.run([*argv, "-keyout", "/dev/null", "-out", str(stranger)], check=True, capture_output=True)
        shutil.copy(stranger, secrets / "vault.crt")
        assert "certificate" in lab_backup.rest_trouble("127.0.0.1", port).lower()


def test_a_lab_without_places_for_backups_is_told(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(lab_backup, "SECRETS", tmp_path / "none")
    monkeypatch.setattr(lab_backup, "sftp_trouble", lambda _address: "Permission denied")
    monkeypatch.setattr(lab_backup, "docker_ok", lambda *_argv: False)
    with pytest.raises(StepFailed, match="'scripts/lab up' sets their places up"):
        lab_backup.check()
    told = capsys.readouterr().err
    assert "vault's append-only store: " in told and "attic's store over SFTP: Permission denied" in told and "drill: has no restic" in told


def test_the_demos_last_screen_tells_what_is_proven_and_where_that_is_written(tmp_path):
    held = {"result": "proven", "seconds": 1.5}
    path = tmp_path / "web1-proof.json"
    repositories = {name: {"classes": {"files": held, "mail": held}} for name in ("vault", "attic")}
    path.write_text(json.dumps({"schema": 1, "repositories": repositories, "signature": "x"}))
    assert proof_line.lines(path) == ["backup: 4 of 4 proven: files mail, each from attic and vault; restored in 6 s, signed", f"proof:  {path}"]
