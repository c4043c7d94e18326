"""Where the tests' databases lie: in memory where there is room, for each is some hundred files that are soon gone."""

import os
import shutil
import tempfile
from pathlib import Path

SHARED_MEMORY = Path("/dev/shm")
ROOM_BYTES = 4 << 30  #: that must be free there; a worker needs a tenth of it


def new_data_folder(prefix: str) -> Path:
    """A new folder, to be removed by who asked for it.

    Not below pytest's own: run by root, a database belongs to a user who cannot pass through that.
    """
    in_memory = (
        SHARED_MEMORY.is_dir()
        and os.access(SHARED_MEMORY, os.W_OK)
        and shutil.disk_usage(SHARED_MEMORY).free >= ROOM_BYTES
    )
    return Path(tempfile.mkdtemp(prefix=prefix, dir=SHARED_MEMORY if in_memory else None))
