"""The rules of each game system: pure functions on plain data, no I/O, no clock. Per-tap rules are in `hotpath`.

shop       prices of upgrades, the free boosts (game rules, "Sinks", "Boost")
transfers  what may be sent to whom, and what it costs (game rules, "Sinks")
"""
