"""All player sockets of a node in one epoll instance (Linux): RFC 6455 over them, taps answered in C.

A `Gateway` owns the sockets it has adopted. `serve` is one stay: it handles every socket that is ready, with one
receive and one send each, and then, for as long as it may wait, polls again without going through Trio. A stay ends
early when Python code ran, because that may have made a task runnable.

What a socket receives:

    a TAP whose player has nothing waiting   answered from bytes to bytes, by the session's seat (`hotpath.tap_path`)
    any other message                        given to the session, `receive` or `receive_text`
    ping, pong, close, nonsense              answered here (RFC 6455); the session hears that it is `gone`

Bounds: what one socket may receive, send and have handled in a round, how long a round may take, and how many
deliveries of a publication it makes; what is left comes in the next round. Input that cannot be handled yet is kept,
and nothing more is received from that socket meanwhile. An answer that the kernel does not take waits here, framed;
what comes behind it waits in the connection's outbox, whose bounds are the session's. Only then EPOLLOUT is asked for.

A publication is one frame for many sockets, encoded once. Who can take it gets it straight from the one buffer; for
who cannot, it queues, or replaces what waits under the same key.
"""

from hotpath._gateway_c import Gateway

__all__ = ["Gateway"]
