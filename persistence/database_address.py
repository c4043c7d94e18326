"""A database's address as people may see it."""

from urllib.parse import parse_qs, urlsplit


def address_of(dsn: str) -> str:
    """Host, port and name of a database address, without user and password."""
    parts = urlsplit(dsn)
    host = parse_qs(parts.query).get("host", [parts.hostname or "localhost"])[0]
    try:
        port = parts.port
    except ValueError:
        port = None
    return f"{host}:{port}{parts.path}" if port else f"{host}{parts.path}"
