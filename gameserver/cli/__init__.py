"""The `gameserver` command: a module for each kind of thing that can be asked of it.

Every refusal is one sentence on standard error and a non-zero exit; answers go to standard output.
"""

from gameserver.cli import account, backup, dead_letters, migrate, reports, seed, serve
from gameserver.cli.app import app

__all__ = ["account", "backup", "dead_letters", "main", "migrate", "reports", "seed", "serve"]


def main() -> None:
    """Run the command line."""
    app()
