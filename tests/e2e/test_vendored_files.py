"""What the browser gets from others lies in vendor/ unchanged, complete, and named with its licence."""

import hashlib
import re
from pathlib import Path

MINIAPP = Path(__file__).parents[2] / "http_admin" / "miniapp"
VENDOR = MINIAPP / "vendor"
LISTED = dict(re.findall(r"^\| `([^`]+)` \| `([0-9a-f]{64})` \|$", (VENDOR / "VENDOR.md").read_text(), re.MULTILINE))


def test_every_vendored_file_is_listed_with_its_hash() -> None:
    files = [path for path in VENDOR.rglob("*") if path.is_file() and path.name != "VENDOR.md"]
    found = {str(path.relative_to(VENDOR)): hashlib.sha256(path.read_bytes()).hexdigest() for path in files}
    assert found == LISTED


def test_licences_are_there_and_source_maps_are_not() -> None:
    assert {"msgpack/LICENSE", "swagger-ui/LICENSE", "swagger-ui/NOTICE"} <= set(LISTED)
    assert [name for name in LISTED if name.endswith(".map")] == []


def test_our_own_files_name_no_other_host() -> None:
    own = [path for path in MINIAPP.rglob("*") if path.is_file() and VENDOR not in path.parents]
    assert own
    for path in own:
        addresses = re.findall(r"(?:https?|wss?)://[a-z0-9.-]+\.[a-z]{2,}", path.read_text())
        assert [address for address in addresses if "www.w3.org" not in address] == []


def test_every_import_of_the_client_leads_to_a_file() -> None:
    modules = [path for path in MINIAPP.rglob("*.*js") if "swagger-ui" not in path.parts]
    imports = [
        (path, target)
        for path in modules
        for target in re.findall(r"""^(?:import|export) [^;]*?from "([^"]+)";""", path.read_text(), re.MULTILINE)
    ]
    assert len(imports) > 20
    assert [(path, target) for path, target in imports if not (path.parent / target).is_file()] == []
