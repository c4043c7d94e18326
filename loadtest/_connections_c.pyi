from loadtest._histogram_c import Histogram

# Some ten thousand WebSocket clients.
#
# Args:
#     host: IPv4 address of the server.
#     port: its port.
#     upgrade: the request for the upgrade, byte for byte.
#     hellos: a HELLO payload per connection; not needed if `plain`.
#     connections: how many.
#     plain: the server knows no HELLO, and answers in order.
#     sources: loopback addresses to come from, 127.0.0.1 and up; one has some 28 000 ports.
#     ring: requests without an answer per connection at most, a power of two.
#
# Raises:
#     ValueError: an argument is out of range.
#     OSError: the system gives no epoll.
#
# Resources: closes its sockets when it is collected; `leave` says goodbye first.
class Connections:
    def __init__(
        self,
        host: str,
        port: int,
        upgrade: bytes,
        hellos: list[bytes],
        connections: int,
        *,
        plain: bool = False,
        sources: int = 1,
        ring: int = 16,
    ) -> None: ...
    @property
    def open(self) -> int: ...
    @property
    def welcome(self) -> Histogram: ...
    # Bring up every connection that is not; what fails is in `endings`, and is not tried again.
    #
    # Args:
    #     at_once: how many may be on their way.
    #     deadline_s: those that are on their way then have failed.
    #     per_s: how many begin in a second; 0 = as many as possible.
    #
    # Returns:
    #     Seconds until the last WELCOME.
    def connect(self, *, at_once: int, deadline_s: float, per_s: float = 0.0) -> float: ...

    # Close a random share of all connections without a word; returns how many.
    def drop(self, share: float) -> int: ...

    # Read nothing more from a random share of all connections; returns how many.
    def slow_down(self, share: float) -> int: ...

    # Say goodbye and close everything.
    def leave(self) -> None: ...

    # How connections came and went since the beginning, by status, errno and close code.
    def endings(self) -> dict[str, int | dict[int, int]]: ...
