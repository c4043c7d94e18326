import os
import resource
import subprocess
import sys

import psutil
import pytest

from loadtest.bench.machine import Cores, choose_cores, describe, move_descendants, raise_file_limit

PARENT = """
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import signal; signal.pause()"])
print(child.pid, flush=True)
child.wait()
"""


def test_server_and_generator_have_a_core_each() -> None:
    assert choose_cores({3, 1, 2}) == Cores(1, 2)
    assert choose_cores({0}) == Cores(None, None)


def test_as_many_files_as_the_machine_allows() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    try:
        assert raise_file_limit() == resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


@pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="needs two cores")
def test_children_move_and_their_parent_stays() -> None:
    cores = os.sched_getaffinity(0)
    parent = subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    child = int(parent.stdout.readline())
    try:
        move_descendants(parent.pid, max(cores))
        assert os.sched_getaffinity(child) == {max(cores)}
        assert os.sched_getaffinity(parent.pid) == cores
    finally:
        psutil.Process(child).kill()
        parent.wait(10)
        parent.stdout.close()


def test_the_machine_is_described() -> None:
    found = describe()
    assert found.keys() == {"cpu", "memory", "system", "python", "node", "commit"}
    assert all(found.values())
    assert f"{os.cpu_count()} cores" in found["cpu"]
