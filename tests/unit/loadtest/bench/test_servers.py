from pathlib import Path

from loadtest.bench.servers import Server, last_hello


def test_the_last_player_is_nobody_the_swarm_plays(tmp_path: Path) -> None:
    hellos = tmp_path / "game.hello"
    hellos.write_text("0a\n0b\nff00\n")
    assert last_hello(Server("ws://game/ws", 1, hellos)) == b"\xff\x00"
