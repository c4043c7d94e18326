"""Whom an address stands for, where something is counted per address.

An IPv4 address stands for itself; of IPv6 the first 64 bits count, because so much is what one customer is given.
Behind a proxy everybody has the proxy's address; there limits per address are the proxy's business.
"""

import ipaddress
from typing import Final

_IPV6_CUSTOMER_BITS: Final = 64


def customer_of(address: str) -> tuple[str, bool]:
    """Whom an address stands for, and whether that is this machine itself.

    Args:
        address: of a peer, as `getpeername` writes it.

    Returns:
        The IPv4 address or the IPv6 network, as PostgreSQL's `inet` takes it.

    Raises:
        ValueError: it has a colon and is no IPv6 address.
    """
    if ":" not in address:
        return address, address.startswith("127.")
    parsed = ipaddress.IPv6Address(address)
    if parsed.ipv4_mapped is not None:  # an IPv4 peer of a socket that is open for both
        return customer_of(str(parsed.ipv4_mapped))
    network = parsed.packed[: _IPV6_CUSTOMER_BITS // 8].ljust(16, b"\0")
    return f"{ipaddress.IPv6Address(network)}/{_IPV6_CUSTOMER_BITS}", parsed.is_loopback
