"""The per-tap path in Cython: rules, player state and what of it is written, tap codec, rate limit.

Each module is three files: `x.py`, the façade everyone imports; `_x_c.pyx` with its `.pxd` and `.pyi`, what runs; and
`_x_py.py`, the readable specification that the tests hold against it. Nothing here imports anything of ours.

There is no fallback to the readable twins: a server that is silently many times slower is worse than one that says why
it does not start.

Raises:
    ImportError: an extension is not built; the sentence says what to do.
"""

from importlib import import_module

for _name in ("_rules_c", "_player_state_c", "_player_writes_c", "_tap_signals_c", "_tap_codec_c", "_rate_limit_c"):
    try:
        import_module(f"hotpath.{_name}")
    except ModuleNotFoundError as error:
        raise ImportError("the C extensions are not built: run `make setup`") from error
