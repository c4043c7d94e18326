"""People Power Journey: the realtime game server.

Layers, top to bottom; a module imports only from layers below its own (enforced by the import contracts in
pyproject.toml and by tests/test_architecture.py):

    cli | main, doctor, load_players | seeding, listening | schema   composition root: starts and stops everything
    edge      | http_admin         sockets and sessions       | HTTP: login, health, metrics, the Mini App
    actors                         who owns which state, and in which order its messages run
    game                           the rules of each system: pure functions on plain data
    identity                       Telegram login, tokens, accounts, logins and devices, who is barred
    wire                           bytes <-> messages: op codes, frames, close codes
    rate_limits                    how often who may do what: one table, sliding windows, a sample of who was refused
    settings | logs | metrics | clock | timing_wheel | stop_request | addresses | file_limit | garbage | refusals
    errors                         the error tree
    persistence                    PostgreSQL: pool, write-behind, stores, migrations, embedded server
    hotpath                        Cython: rules, player state, tap codec, rate limit; imports nothing of ours

`loadtest` stands outside: it imports `gameserver.wire` and hotpath's codecs, and nothing imports it.
"""

__version__ = "0.1.0"
