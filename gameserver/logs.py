"""Logging: structlog for our own lines and for what libraries write, in one format, on standard error.

Standard output belongs to the answers of the CLI. Under Trio only the synchronous methods are used (structlog's `ainfo`
family needs an asyncio loop).
"""

import logging
import sys
from typing import Any

import structlog


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
    renderer: structlog.typing.Processor
    if as_json:
        shared.append(structlog.processors.format_exc_info)
        renderer = structlog.processors.JSONRenderer()
    else:
        renderer = structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(),
            # Plain: a traceback with local variables would be long, and could show tokens.
            exception_formatter=structlog.dev.plain_traceback,
        )
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
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
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
