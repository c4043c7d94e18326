"""The HTTP API's description (OpenAPI), read: which operations there are, and examples of what goes in and out."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Operation:
    """One method of one path."""

    method: str  #: in capitals
    path: str  #: with its parameters in braces
    described: Mapping[str, Any]
    document: Mapping[str, Any]

    @property
    def label(self) -> str:
        return f"{self.method} {self.path}"

    @property
    def is_somebodys(self) -> bool:
        """Whether it asks for an access token."""
        return bool(self.described.get("security"))

    @property
    def path_parameters(self) -> set[str]:
        return {one["name"] for one in self.described.get("parameters", ()) if one["in"] == "path"}

    def contents(self) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """Every body, of the request and of each answer: where it is, and its media type's description."""
        for media, content in self.described.get("requestBody", {}).get("content", {}).items():
            yield f"request {media}", content
        for status, response in self.described["responses"].items():
            for media, content in response.get("content", {}).items():
                yield f"{status} {media}", content

    def body(self) -> Any:
        """An example of the request's body; None where it has none."""
        for where, content in self.contents():
            if where.startswith("request "):
                return example(content, self.document)
        return None


def operations(document: Mapping[str, Any]) -> list[Operation]:
    """Every operation of an OpenAPI document."""
    return [
        Operation(method.upper(), path, described, document)
        for path, methods in document["paths"].items()
        for method, described in methods.items()
    ]


def example(content: Mapping[str, Any], document: Mapping[str, Any]) -> Any:
    """The example of a media type.

    Raises:
        LookupError: it has none, and neither have all parts of its schema; says where.
    """
    if "example" in content:
        return content["example"]
    if "examples" in content:
        return next(iter(content["examples"].values()))["value"]
    return _of_schema(content.get("schema", {}), document, "")


def _of_schema(schema: Mapping[str, Any], document: Mapping[str, Any], where: str) -> Any:
    if "examples" in schema:
        return schema["examples"][0]
    for key in ("example", "const", "default"):
        if key in schema:
            return schema[key]
    if "enum" in schema:
        return schema["enum"][0]
    if "$ref" in schema:
        name = schema["$ref"].removeprefix("#/components/schemas/")
        return _of_schema(document["components"]["schemas"][name], document, f"{where}<{name}>")
    if "properties" in schema:
        return {name: _of_schema(part, document, f"{where}.{name}") for name, part in schema["properties"].items()}
    if schema.get("type") == "array":
        return [_of_schema(schema["items"], document, f"{where}[]")]
    if choices := schema.get("anyOf") or schema.get("allOf"):
        return _of_schema(choices[0], document, where)
    raise LookupError(where or "no schema and no example")
