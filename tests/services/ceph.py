"""The smallest Ceph that serves S3: a monitor, a manager-less store in memory, and radosgw. Debian's packages."""

from __future__ import annotations

import json
import os
import secrets
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from tests.services.processes import (
    accepts_connections,
    dies_with_us,
    free_port,
    missing,
    running,
    wait_for,
)
from tests.services.s3 import S3Server

PROGRAMS = ("ceph-mon", "ceph-osd", "ceph", "ceph-authtool", "monmaptool", "radosgw", "radosgw-admin")

CONFIG = """
[global]
fsid = {fsid}
mon host = [v2:127.0.0.1:{mon_port}/0]
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
run dir = {folder}
admin socket = {folder}/$name.asok
keyring = {folder}/keyring
log file = {folder}/$name.log
log to stderr = false
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd pool default pgp num = 1
osd crush chooseleaf type = 0
osd objectstore = memstore
memstore device bytes = 4294967296
osd data = {folder}/osd
mon data = {folder}/mon
mon allow pool size one = true
mon pg warn min per osd = 0
mon max pg per osd = 1000
rgw enable usage log = false
rgw enable gc threads = false
rgw dynamic resharding = false

[osd]
keyring = {folder}/osd/keyring
"""


def find_radosgw() -> bool:
    return all(shutil.which(program) for program in PROGRAMS)


@contextmanager
def radosgw(folder: Path) -> Iterator[S3Server]:
    if not find_radosgw():
        missing("radosgw (Debian: radosgw ceph-mon ceph-osd)", "the object store on Ceph, lifecycle rules included")
    folder.mkdir(parents=True, exist_ok=True)
    cluster = _Cluster(folder, mon_port=free_port())
    cluster.prepare()
    with ExitStack() as stack:
        stack.enter_context(cluster.daemon("ceph-mon", "-i", "a"))
        cluster.add_osd()
        stack.enter_context(cluster.daemon("ceph-osd", "-i", "0"))
        wait_for(cluster.osd_is_up, what="the OSD's start", pause_s=0.3)
        port = free_port()
        keyring = str(folder / "rgw.keyring")
        cluster.run("ceph", "auth", "get-or-create", "client.rgw", "mon", "allow rw", "osd", "allow rwx", "-o", keyring)
        options = ["-n", "client.rgw", "-k", keyring]
        options += [f"--rgw_frontends=beast endpoint=127.0.0.1:{port}"]
        stack.enter_context(cluster.daemon("radosgw", *options))
        wait_for(lambda: accepts_connections(port), what="radosgw's start", pause_s=0.1)
        yield cluster.user(port)


class _Cluster:
    def __init__(self, folder: Path, *, mon_port: int) -> None:
        self._folder = folder
        self._mon_port = mon_port
        self._config = folder / "ceph.conf"

    def run(self, program: str, *arguments: str) -> str:
        command = [program, "-c", str(self._config), *arguments]
        done = subprocess.run(command, check=False, capture_output=True, text=True, stdin=subprocess.DEVNULL)
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)}: exit {done.returncode}: {done.stderr[-2000:]}")
        return done.stdout

    def prepare(self) -> None:
        fsid = str(uuid.uuid4())
        self._config.write_text(CONFIG.format(fsid=fsid, folder=self._folder, mon_port=self._mon_port))
        for name in ("mon", "osd"):
            (self._folder / name).mkdir()
        keyring, monmap = str(self._folder / "keyring"), str(self._folder / "monmap")
        self.run("ceph-authtool", "--create-keyring", keyring, "--gen-key", "-n", "mon.", "--cap", "mon", "allow *")
        everything = [part for daemon in ("mon", "osd", "mgr") for part in ("--cap", daemon, "allow *")]
        self.run("ceph-authtool", keyring, "--gen-key", "-n", "client.admin", *everything)
        address = f"[v2:127.0.0.1:{self._mon_port}]"
        subprocess.run(
            ["monmaptool", "--create", "--addv", "a", address, "--fsid", fsid, monmap], check=True, capture_output=True
        )
        self.run("ceph-mon", "--mkfs", "-i", "a", "--monmap", monmap, "--keyring", keyring)

    @contextmanager
    def daemon(self, program: str, *arguments: str) -> Iterator[None]:
        command = [*dies_with_us(), program, "-f", "-c", str(self._config), *arguments]
        with running(command, log=self._folder / f"{program}.out", ready=lambda: True, env=dict(os.environ)):
            yield

    def add_osd(self) -> None:
        keyring = str(self._folder / "osd" / "keyring")
        osd_id = str(uuid.uuid4())
        self.run("ceph", "osd", "new", osd_id)
        caps = ("mon", "allow profile osd", "osd", "allow *")
        self.run("ceph", "auth", "get-or-create", "osd.0", *caps, "-o", keyring)
        self.run("ceph-osd", "-i", "0", "--mkfs", "--osd-uuid", osd_id, "--keyring", keyring)

    def osd_is_up(self) -> bool:
        return int(json.loads(self.run("ceph", "osd", "stat", "--format", "json"))["num_up_osds"]) == 1

    def user(self, port: int) -> S3Server:
        access_key, secret_key = secrets.token_hex(8), secrets.token_hex(16)
        admin = ("radosgw-admin", "-n", "client.rgw", "-k", str(self._folder / "rgw.keyring"))
        keys = (f"--access-key={access_key}", f"--secret-key={secret_key}")
        self.run(*admin, "user", "create", "--uid=test", "--display-name=test", *keys)
        return S3Server(name="radosgw", port=port, access_key=access_key, secret_key=secret_key)
