"""HTTP for players' login, operators and the Mini App: FastAPI on hypercorn's protocol in the server's own Trio run."""
