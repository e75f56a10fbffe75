"""What lies around the service and surprises newcomers: its folder, the way out, a card without a driver."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path

from maskmill.doctor.findings import Finding
from maskmill.errors import StackError
from maskmill.stack.checks import check_folder

GROUP = "Around it"
ROUTES = Path("/proc/net/route")
PCI = Path("/sys/bus/pci/devices")
DEFAULT_ROUTE = "00000000"
NVIDIA = "0x10de"
PROXIES = ("HTTPS_PROXY", "https_proxy", "ALL_PROXY", "all_proxy")


def examine_surroundings(folder: Path, environment: Mapping[str, str] | None = None) -> Iterator[Finding]:
    """folder: in which the service would be started. Asks nobody: no request leaves this machine."""
    yield _working_folder(folder)
    yield _network(os.environ if environment is None else environment)


def _working_folder(folder: Path) -> Finding:
    try:
        check_folder(folder)
    except StackError as error:
        return Finding(group=GROUP, name="Folder", state="bad", said=str(error), mend="cd into another folder first")
    return Finding(group=GROUP, name="Folder", said=str(folder))


def _network(environment: Mapping[str, str]) -> Finding:
    name = "Network"
    proxy = next((each for each in PROXIES if environment.get(each)), None)
    if proxy is not None:
        return Finding(group=GROUP, name=name, said=f"by the proxy of {proxy}")
    if has_way_out():
        return Finding(group=GROUP, name=name, said="there is a way out; the service needs none")
    said = "no way out: what is installed works, but nothing can be fetched"
    mend = "bring packages and models by hand (docs/how-to/run-offline.md), or set HTTPS_PROXY"
    return Finding(group=GROUP, name=name, state="absent", said=said, mend=mend)


def has_way_out() -> bool:
    """Whether the kernel has a default route. Where it does not tell, we suppose so."""
    try:
        lines = ROUTES.read_text().splitlines()[1:]
    except OSError:
        return True
    return any(line.split()[1:2] == [DEFAULT_ROUTE] for line in lines)


def has_nvidia_card() -> bool:
    """Whether one is plugged in, driver or not."""
    with contextlib.suppress(OSError):
        return any(path.read_text().strip() == NVIDIA for path in PCI.glob("*/vendor"))
    return False
