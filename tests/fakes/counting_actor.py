"""An actor that writes down what it is told, and messages that write down how they were refused."""

import functools
from collections.abc import Callable
from dataclasses import dataclass, field

import trio

from gameserver.actors.actor import Errand, Message
from gameserver.errors import WireError


@dataclass(eq=False)
class Note:
    """A message with a name. `then` runs inside its turn; whoever it is merged into takes its name over."""

    name: str
    control: bool = False
    writes: bool = True
    mergeable: bool = False
    then: Callable[[], None] = lambda: None
    names: list[str] = field(default_factory=list)
    refused: list[WireError] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.names.append(self.name)

    def refuse(self, error: WireError) -> None:
        self.refused.append(error)

    def merge(self, later: Message) -> bool:
        if not (isinstance(later, Note) and self.mergeable and later.mergeable):
            return False
        self.names += later.names
        return True


class CountingActor:
    """Writes down the names of what it handles; one that begins with `bad` raises, one with `far` is fetched first."""

    def __init__(self, name: str = "a") -> None:
        self.name = name
        self.handled: list[str] = []
        self.failures: list[str] = []
        self.expelled: list[str] = []
        self.in_use = False
        self.fetch_fails = False

    def handle(self, message: Message, now_ms: int) -> Errand | None:
        del now_ms
        assert isinstance(message, Note)
        while message.names:
            if message.names[0].startswith("bad"):
                raise RuntimeError(message.names[0])
            if message.names[0].startswith("far"):
                message.names[0] = message.names[0].removeprefix("far ")
                return functools.partial(self._fetch, message)
            self.handled.append(message.names.pop(0))
        message.then()
        return None

    async def _fetch(self, message: Message) -> Message:
        await trio.lowlevel.checkpoint()
        if self.fetch_fails:
            raise RuntimeError("a bug")
        return message

    def failed(self, message: Message) -> Message | None:
        assert isinstance(message, Note)
        self.failures.append(message.names.pop(0))
        return message if message.names else None

    def expel(self, reason: str) -> None:
        self.expelled.append(reason)
