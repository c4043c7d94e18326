"""Logging: structlog for our own lines and for what libraries write, in one format, on standard error.

Standard output belongs to the answers of the CLI. Under Trio only the synchronous methods are used (structlog's `ainfo`
family needs an asyncio loop).

What peers send can reach a line: in an exception's sentence, in the message of a library. So in text nothing but
printable characters is written, and a traceback's lines begin unlike a line of the log: nobody can forge one, or steer
the terminal that shows it. JSON escapes by itself. And what looks like a secret is masked, should one get that far.
"""

import logging
import re
import sys
import traceback
from collections.abc import Callable
from typing import Any, Final, TextIO

import structlog

_SECRET: Final = re.compile(
    r"eyJ[\w-]{8,}\.[\w-]{8,}\.[\w-]*"  # a JWT
    r"|\b[0-9]{6,20}:[A-Za-z0-9_-]{30,64}"  # a bot's token
    r"|(?<![\w-])[A-Za-z0-9_-]{43}(?![\w-])"  # 256 bits in base64: refresh tokens, keys
    r"|(?<=hash=)[0-9a-f]{64}|(?<=signature=)[\w-]{86}",  # what seals a login of Telegram
    re.ASCII,
)
_TRACEBACK_MARGIN: Final = "  | "


def configure_logs(*, as_json: bool, level: int = logging.INFO) -> None:
    """Set up structlog and the standard library's root logger alike.

    Args:
        as_json: JSON for machines instead of text for people.
        level: the least severity that is written.
    """
    shared: list[structlog.typing.Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    rendered: list[structlog.typing.Processor]
    if as_json:
        shared.append(structlog.processors.format_exc_info)
        rendered = [_masked(structlog.processors.JSONRenderer())]
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Plain: a traceback with local variables would be long, and could show tokens.
            exception_formatter=_write_traceback,
        )
        rendered = [_printable_values, _masked(renderer)]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.make_filtering_bound_logger(level),
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *rendered],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level)
    for noisy in ("trio-websocket", "wsproto", "hypercorn.access", "hypercorn.error"):
        logging.getLogger(noisy).setLevel(logging.CRITICAL)


def get_logger(name: str) -> Any:
    """A bound logger; `name` is the module that speaks."""
    return structlog.get_logger(name, logger_name=name)


def printable(text: str) -> str:
    """`text` with an escape in the place of every character that is not printable."""
    if text.isprintable():
        return text
    return "".join(char if char.isprintable() else char.encode("unicode_escape").decode() for char in text)


def _printable_values(
    _logger: structlog.typing.WrappedLogger, _method: str, event: structlog.typing.EventDict
) -> structlog.typing.EventDict:
    plain = (int, float, type(None))
    return {
        key: value if key == "exc_info" or isinstance(value, plain) else printable(_text(value))
        for key, value in event.items()
    }


def _text(value: object) -> str:
    return value if isinstance(value, str) else repr(value)


def _write_traceback(out: TextIO, exc_info: structlog.typing.ExcInfo) -> None:
    lines = "".join(traceback.format_exception(*exc_info)).splitlines()
    out.writelines(f"\n{_TRACEBACK_MARGIN}{printable(line)}" for line in lines)


def _masked(renderer: Callable[..., str | bytes]) -> structlog.typing.Processor:
    def render(logger: structlog.typing.WrappedLogger, method: str, event: structlog.typing.EventDict) -> str:
        line = renderer(logger, method, event)
        assert isinstance(line, str)
        return _SECRET.sub("***", line)

    return render
