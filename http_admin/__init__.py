"""HTTP for players' login, operators and the Mini App: FastAPI on Hypercorn in the server's own Trio run."""
