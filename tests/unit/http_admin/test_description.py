"""What /openapi.json says of every endpoint, whichever there are: nothing is left for a reader to guess."""

from collections import Counter

import jsonschema_rs
import pytest

from tests.fakes.description import Operation, example, operations
from tests.fakes.site import Site

#: Methods that change something.
WRITES = {"POST", "PUT", "PATCH", "DELETE"}


@pytest.fixture
async def described() -> list[Operation]:
    async with Site().client() as client:
        return operations((await client.get("/openapi.json")).json())


async def test_every_operation_is_explained_and_has_a_name_of_its_own(described: list[Operation]) -> None:
    for operation in described:
        assert operation.described.get("summary"), operation.label
        assert operation.described.get("description"), operation.label
        assert operation.described.get("tags"), operation.label
    names = Counter(operation.described["operationId"] for operation in described)
    assert [name for name, count in names.items() if count > 1] == []
    assert all(name.isidentifier() and name.islower() for name in names), "it is a function's name in a client"


async def test_every_tag_is_explained(described: list[Operation]) -> None:
    told = {tag["name"] for tag in described[0].document["tags"] if tag["description"]}
    assert {tag for operation in described for tag in operation.described["tags"]} == told


async def test_every_body_has_an_example_that_its_schema_accepts(described: list[Operation]) -> None:
    faults = []
    for operation in described:
        for where, content in operation.contents():
            try:
                shown = example(content, operation.document)
            except LookupError as error:
                faults.append(f"{operation.label}, {where}: no example of {error}")
                continue
            schema = {**content.get("schema", {}), "components": operation.document["components"]}
            faults += [
                f"{operation.label}, {where}: {fault}"
                for fault in jsonschema_rs.validator_for(schema).iter_errors(shown)
            ]
    assert faults == []


async def test_who_needs_a_token_is_told_so_and_which_answers_follow(described: list[Operation]) -> None:
    for operation in described:
        statuses = set(operation.described["responses"])
        if operation.is_somebodys:
            assert operation.described["security"] == [{"access_token": []}], operation.label
            assert {"401", "403"} <= statuses, operation.label
        if operation.method in WRITES:
            assert "403" in statuses, f"{operation.label}: pages of other origins are refused"
        if "requestBody" in operation.described:
            assert {"413", "422"} <= statuses, operation.label
        if operation.path_parameters:
            assert "422" in statuses, operation.label


async def test_the_scheme_is_a_bearer_jwt(described: list[Operation]) -> None:
    [(name, scheme)] = described[0].document["components"]["securitySchemes"].items()
    assert (name, scheme["type"], scheme["scheme"], scheme["bearerFormat"]) == ("access_token", "http", "bearer", "JWT")


async def test_every_property_and_parameter_is_explained(described: list[Operation]) -> None:
    document = described[0].document
    silent = [
        f"{name}.{key}"
        for name, schema in document["components"]["schemas"].items()
        for key, part in schema.get("properties", {}).items()
        if "description" not in part and "$ref" not in part and part.get("type") != "array"
    ]
    assert silent == []
