"""From the name of a host to its addresses."""

from __future__ import annotations

import socket
from ipaddress import ip_address

from jobs.addresses import Address


class NameUnresolved(Exception):
    """`lasting`: the name does not exist; otherwise asking again may help."""

    def __init__(self, host: str, *, lasting: bool) -> None:
        super().__init__(f"the name {host} could not be resolved")
        self.lasting = lasting


def resolve(host: str, port: int) -> list[Address]:
    """All addresses of a host, in the resolver's order. Raises NameUnresolved."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        lasting = not isinstance(error, socket.gaierror) or error.errno != socket.EAI_AGAIN
        raise NameUnresolved(host, lasting=lasting) from error
    addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    return list(dict.fromkeys(addresses))
