"""Bytes <-> messages: op codes, frames, errors, close codes. No socket, no clock, no logger, nothing that waits.

`ops` names the numbers and limits, `messages` the frames, `catalogue` the actions and events; `wellformed` and
`codec` turn bytes into messages and back; `reference` writes the tables of docs/wire.md from all of them.
"""
