"""Which network addresses a stranger may send this service to: public ones, and nothing behind our door."""

from __future__ import annotations

import socket
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_PLATFORM = frozenset({IPv4Address("168.63.129.16")})  # a public number that inside Azure is Azure's own door


class NameUnresolved(Exception):
    """`lasting`: the name does not exist; otherwise asking again may help."""

    def __init__(self, host: str, *, lasting: bool) -> None:
        super().__init__(f"the name {host} could not be resolved")
        self.lasting = lasting


def is_public(address: Address) -> bool:
    """False for loopback, private, link-local, multicast, reserved and shared addresses and those of a platform's
    metadata, also as IPv4 inside IPv6."""
    inner = _embedded(address)
    if inner is not None:
        return is_public(inner)
    if isinstance(address, IPv6Address) and address.is_site_local:  # what RFC 4193 replaced, still routed by some
        return False
    return address.is_global and not (address.is_multicast or address.is_reserved or address in _PLATFORM)


def is_any(_: Address) -> bool:
    """For a network whose users are all trusted."""
    return True


def resolve(host: str, port: int) -> list[Address]:
    """All addresses of a host, in the resolver's order. Raises NameUnresolved."""
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except (socket.gaierror, UnicodeError) as error:
        lasting = not isinstance(error, socket.gaierror) or error.errno != socket.EAI_AGAIN
        raise NameUnresolved(host, lasting=lasting) from error
    addresses = [ip_address(str(entry[4][0]).partition("%")[0]) for entry in found]
    return list(dict.fromkeys(addresses))


def _embedded(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
