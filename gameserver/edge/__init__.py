"""Sockets and sessions.

listener    opens the port, takes connections, sends them away at a drain
admission   who may connect: how many sockets, from where, how fast
upgrade     which opening handshakes are accepted
terms       what a transport demands of a connection, and may ask of a session
portable    one connection on trio-websocket: bytes in, frames out
session     sans-I/O: is given payloads, queues frames
lifecycle   a session's life, as a transition table
greeting    with which words it begins
farewell    with which words it ends
returns     when whoever is sent away is to come back
counters    what all sessions did
login       HELLO: who is it?
dispatch    which action runs what: the game's table of contents
outbox      the bounded queue of frames to one socket
heartbeat   the one task that looks after all sessions' deadlines
"""
