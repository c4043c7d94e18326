"""The tables of docs/wire.md, written from the code: `python -m gameserver.wire.reference [FILE]` rewrites the file.

A table stands between `<!-- generated: NAME -->` and `<!-- end -->`; everything outside is written by hand. Sentences
come from where a thing is declared: the `#:` comment of a number, the `description` of a field, the catalogue's row.
"""

import enum
import inspect
import json
import re
import sys
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Final

import msgspec
from msgspec import inspect as types

from gameserver.errors import ErrorCode, Retryable
from gameserver.wire import catalogue, messages, ops

_BLOCK: Final = re.compile(r"(<!-- generated: (?P<name>[a-z-]+) -->\n).*?(<!-- end -->)", re.DOTALL)
_MEMBER: Final = re.compile(r"^ *(?P<name>[A-Z_0-9]+)(?:: Final)? = .*?#: (?P<doc>.+)$", re.MULTILINE)

_FRAMES: Final[Mapping[ops.Op, type[msgspec.Struct]]] = MappingProxyType(
    {
        ops.Op.HELLO: messages.Hello,
        ops.Op.TAP: messages.Tap,
        ops.Op.ACTION: messages.Action,
        ops.Op.PING: messages.Ping,
        ops.Op.WELCOME: messages.Welcome,
        ops.Op.TAPPED: messages.Tapped,
        ops.Op.RESULT: messages.Result,
        ops.Op.ERROR: messages.ErrorFrame,
        ops.Op.PONG: messages.Pong,
        ops.Op.EVENT: messages.Event,
        ops.Op.DURABLE: messages.Durable,
        ops.Op.GOODBYE: messages.Goodbye,
    }
)

#: Maps that have a table of their own.
_NAMED: Final[Mapping[type[msgspec.Struct], str]] = MappingProxyType(
    {
        messages.State: "State",
        catalogue.ShopOffers: "ShopOffers",
        catalogue.UpgradeOffer: "UpgradeOffer",
        catalogue.BoostOffer: "BoostOffer",
        catalogue.TransferTerms: "TransferTerms",
    }
)


def render(text: str) -> str:
    """`text` with every generated block as the code has it now.

    Raises:
        KeyError: a block's name is none of `BLOCKS`.
    """
    return _BLOCK.sub(lambda block: f"{block[1]}\n{BLOCKS[block['name']]()}\n\n{block[3]}", text)


def _ops() -> str:
    docs = _docs(ops.Op)
    return _table(
        ("op", "name", "frame", "what it is"),
        ((str(op.value), op.name, f"`{_frame(op)}`", docs[op.name]) for op in ops.Op),
    )


def _frame(op: ops.Op) -> str:
    values = {"seq": "0", "body": "{…}"} if op in (ops.Op.HELLO, ops.Op.WELCOME) else {}
    fields = (values.get(name, name) for name in _FRAMES[op].__struct_fields__)
    return f"[{', '.join((str(op.value), *fields))}]"


def _errors() -> str:
    docs = _docs(ErrorCode)
    retryable = {error.code for error in Retryable.__subclasses__()}
    return _table(
        ("code", "name", "final?", "meaning"),
        (
            (str(code.value), f"`{code.name.lower()}`", "retryable" if code in retryable else "final", docs[code.name])
            for code in ErrorCode
        ),
    )


def _close_codes() -> str:
    docs = _docs(ops.CloseCode)
    return _table(
        ("code", "name", "meaning", "the client"),
        (
            (str(code.value), code.name.lower(), docs[code.name], ops.reconnect_policy(code).value)
            for code in ops.CloseCode
        ),
    )


def _constants() -> str:
    return _table(
        ("name", "value", "meaning"),
        ((f"`{name}`", f"`{_number(getattr(ops, name))}`", doc) for name, doc in _docs(ops).items() if name.isupper()),
    )


def _actions() -> str:
    return _table(
        ("action", "arguments", "result", "durability", "kind", "what it does", "example"),
        (
            (
                f"`{spec.name}`",
                _map(spec.args),
                _map(spec.result),
                spec.durability.value,
                spec.kind.value,
                spec.doc,
                f"`{json.dumps([int(ops.Op.ACTION), 7, spec.name, dict(spec.example)])}`",
            )
            for spec in catalogue.ACTIONS.values()
        ),
    )


def _events() -> str:
    return _table(
        ("event", "channel", "data", "delivery", "when"),
        (
            (
                f"`{spec.name}`",
                spec.channel.value,
                _map(spec.data),
                "conflated" if spec.conflated else "lossless",
                spec.doc,
            )
            for spec in catalogue.EVENTS.values()
        ),
    )


def _map(struct: type[msgspec.Struct]) -> str:
    """A map in one cell; what has a table of its own is told by its name."""
    named = _NAMED.get(struct)
    return named or f"`{{{', '.join(struct.__struct_encode_fields__)}}}`"


def _fields(struct: type[msgspec.Struct]) -> str:
    info = types.type_info(struct)
    assert isinstance(info, types.StructType)
    return _table(
        ("key", "type", "meaning"),
        ((f"`{field.encode_name}`", *_type(field.type, required=field.required)) for field in info.fields),
    )


def _type(kind: types.Type, *, required: bool = True) -> tuple[str, str]:
    """(type, description) of a field. A number without a narrower range goes from 0 to 2^53 − 1."""
    doc = ""
    while isinstance(kind, types.Metadata):
        doc = doc or (kind.extra_json_schema or {}).get("description", "")
        kind = kind.type
    match kind:
        case types.IntType(ge=least, le=most):
            name = "integer" if most == ops.MAX_SAFE_INT else f"integer {least} … {most}"
        case types.StrType(max_length=longest):
            name = "string" if longest is None else f"string ≤ {longest}"
        case types.BytesType(max_length=longest):
            name = f"{longest} bytes"
        case types.BoolType():
            name = "boolean"
        case types.ListType(item_type=types.StructType(cls=struct)):
            name = f"list of {_NAMED[struct]}"
        case types.UnionType(types=members):
            name = " or ".join(_type(member)[0] for member in members if not isinstance(member, types.NoneType))
        case _:
            name = "map"
    return (name if required else f"{name}, optional"), doc


def _docs(source: type[enum.Enum] | ModuleType) -> dict[str, str]:
    """The `#:` comment of every member (of an enum) or constant (of a module) by its name, in order."""
    text = inspect.getsource(source)
    if isinstance(source, ModuleType):
        text = text.split("\nclass ")[0]
    docs = {match["name"]: match["doc"] for match in _MEMBER.finditer(text)}
    if isinstance(source, type):
        missing = set(source.__members__) - set(docs)
        assert not missing, f"members of {source.__name__} without a `#:` line: {missing}"
    return docs


def _number(value: object) -> str:
    return f"{value:_}".replace("_", " ") if isinstance(value, int) else str(value)


def _table(head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
    lines = [tuple(head)]
    lines.append(tuple("---" for _ in lines[0]))
    lines.extend(tuple(cell.replace("|", "\\|") for cell in row) for row in rows)
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


#: What can stand in a generated block, by name.
BLOCKS: Final[Mapping[str, Callable[[], str]]] = MappingProxyType(
    {
        "ops": _ops,
        "errors": _errors,
        "close-codes": _close_codes,
        "constants": _constants,
        "actions": _actions,
        "events": _events,
        "hello": lambda: _fields(messages.HelloBody),
        "welcome": lambda: _fields(messages.WelcomeBody),
        "channel": lambda: _fields(messages.ChannelState),
        "limits": lambda: _fields(messages.Limits),
        "state": lambda: _fields(messages.State),
        "shop-offers": lambda: _fields(catalogue.ShopOffers),
        "upgrade-offer": lambda: _fields(catalogue.UpgradeOffer),
        "boost-offer": lambda: _fields(catalogue.BoostOffer),
        "transfer-terms": lambda: _fields(catalogue.TransferTerms),
    }
)


def main(path: str = "docs/wire.md") -> None:
    """Rewrite the generated blocks of the file at `path`."""
    file = Path(path)
    file.write_text(render(file.read_text(encoding="utf-8")), encoding="utf-8")


if __name__ == "__main__":
    main(*sys.argv[1:])
