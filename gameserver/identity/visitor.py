"""What is known of whoever shows a credential, in a form that may be stored and shown."""

import ipaddress
from dataclasses import dataclass
from typing import Final, Self

MAX_CLIENT_CHARS: Final = 128  #: of what a client calls itself; the rest is cut off
MAX_DEVICE_CHARS: Final = 128  #: of what it calls its device; the rest is cut off


@dataclass(frozen=True, slots=True)
class Visitor:
    """A client program on a device at an address; each "" where it is not known."""

    client: str = ""  #: name and version of the program, as it says
    device: str = ""  #: the device, as the program names it
    address: str = ""  #: IP address

    @classmethod
    def of(cls, *, client: str = "", device: str = "", address: str = "") -> Self:
        """A visitor from what a peer sent, cut and cleaned.

        Args:
            client: what it calls itself.
            device: what it calls its device.
            address: of its end of the connection; what is none counts as unknown.
        """
        return cls(printable(client)[:MAX_CLIENT_CHARS], printable(device)[:MAX_DEVICE_CHARS], _ip_address(address))


#: nobody knows who it is
UNKNOWN: Final = Visitor()


def printable(text: str) -> str:
    """`text` without control, formatting and unassigned characters, its runs of white space made one space."""
    return "".join(char for char in " ".join(text.split()) if char.isprintable()).strip()


def _ip_address(text: str) -> str:
    try:
        return str(ipaddress.ip_address(text.partition("%")[0]))  # without the zone, which only means something here
    except ValueError:
        return ""
