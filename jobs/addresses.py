"""Which network addresses a stranger may send this service to: public ones, and nothing behind our door."""

from __future__ import annotations

from contextlib import suppress
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address

Address = IPv4Address | IPv6Address

_NAT64 = IPv6Network("64:ff9b::/96")  # RFC 6052: the last 32 bits are an IPv4 address
_PLATFORM = frozenset({IPv4Address("168.63.129.16")})  # a public number that inside Azure is Azure's own door


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


def is_private_by_name(host: str) -> bool:
    """Whether the host of a URL says already, without a look at what it resolves to, that it is not public."""
    name = host.rstrip(".").lower()
    if name == "localhost" or name.endswith(".localhost"):
        return True
    with suppress(ValueError):
        return not is_public(ip_address(name.partition("%")[0]))
    return False


def _embedded(address: Address) -> IPv4Address | None:
    if isinstance(address, IPv4Address):
        return None
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFF_FFFF)
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None)
