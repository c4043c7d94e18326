"""The per-tap path in Cython: rules, player state, tap codec, rate limit.

Each module is three files: `x.py`, the façade everyone imports; `_x_c.pyx` with its `.pxd` and `.pyi`, what runs; and
`_x_py.py`, the readable specification that the tests hold against it. Nothing here imports anything of ours.
"""
