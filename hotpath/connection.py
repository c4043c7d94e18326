"""One socket of a gateway: `Connection`; see `hotpath.gateway`."""

from hotpath._connection_c import Connection

__all__ = ["Connection"]
