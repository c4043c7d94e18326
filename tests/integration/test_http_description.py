"""The running server against its own description: schemathesis asks it everything, rightly and wrongly.

Few examples, always the same ones: it must not take longer than everything else.
"""

import itertools
from collections.abc import Callable
from typing import Any, TypeAlias

import pytest
import schemathesis
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode
from schemathesis.checks import not_a_server_error
from schemathesis.core.failures import FailureGroup
from schemathesis.core.result import Ok
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from tests.fakes.server_http import log_in
from tests.server_process import ServerProcess

Operation: TypeAlias = schemathesis.APIOperation[Any, Any, Any, Any]

EXAMPLES = 6  #: of each operation, credential and way to generate
CHECKS = [
    not_a_server_error,
    status_code_conformance,
    content_type_conformance,
    response_headers_conformance,
    response_schema_conformance,
    unsupported_method,
]


def faults_of(operation: Operation, mode: GenerationMode, credentials: Callable[[], str | None]) -> str:
    """What is wrong with the answers to an operation; "" if nothing is."""

    @settings(
        max_examples=EXAMPLES,
        derandomize=True,
        database=None,
        deadline=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(case=operation.as_strategy(generation_mode=mode))
    def ask(case: schemathesis.Case[Any]) -> None:
        token = credentials()
        case.call_and_validate(headers=None if token is None else {"authorization": f"Bearer {token}"}, checks=CHECKS)

    try:
        ask()
    except Unsatisfiable:
        assert mode is GenerationMode.NEGATIVE, "what takes nothing cannot be asked wrongly"
    except FailureGroup as failures:
        return "\n".join(str(failure) for failure in failures.exceptions)
    return ""


@pytest.mark.slow
def test_every_answer_is_as_described_whoever_asks_and_whatever(server_settings: dict[str, str]) -> None:
    with ServerProcess(**server_settings) as server:
        numbers = itertools.count(1)
        document = schemathesis.openapi.from_url(f"{server.page_url}openapi.json")
        described = [found.ok() for found in document.get_all_operations() if isinstance(found, Ok)]
        assert len(described) >= 15
        callers: list[Callable[[], str | None]] = [
            lambda: log_in(server, f"ada {next(numbers)}"),  # somebody else each time: some of what is asked ends it
            lambda: "no token at all",
            lambda: None,
        ]
        faults = {
            f"{operation.label}, caller {number}, {mode.value}": faults_of(operation, mode, caller)
            for operation in described
            for number, caller in enumerate(callers)
            for mode in GenerationMode
        }
        log = server.log
    assert {where: fault for where, fault in faults.items() if fault} == {}
    assert "Traceback" not in log
