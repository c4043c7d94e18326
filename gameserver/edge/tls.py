"""TLS inside the process, for whoever has no proxy before it."""

import ssl

from gameserver.errors import OperatorError
from gameserver.settings import Settings


def tls_context(settings: Settings) -> ssl.SSLContext | None:
    """For TLS inside the process; None where no certificate is set.

    Raises:
        OperatorError: the files cannot be read or do not belong together.
    """
    if settings.tls_cert is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    try:
        context.load_cert_chain(settings.tls_cert, settings.tls_key)
    except (OSError, ssl.SSLError) as error:
        raise OperatorError(f"GAME_TLS_CERT and GAME_TLS_KEY cannot be used: {error}.") from None
    return context
