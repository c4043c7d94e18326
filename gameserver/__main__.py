"""`python -m gameserver` is the `gameserver` command."""

from gameserver.cli import main

if __name__ == "__main__":
    main()
