import msgspec
import pytest

from gameserver.wire.catalogue import ACTIONS, EVENTS, ActionSpec, EventSpec
from gameserver.wire.codec import decode_client, encode_client
from gameserver.wire.messages import Action


@pytest.mark.parametrize("spec", ACTIONS.values(), ids=lambda spec: spec.name)
def test_an_actions_example_decodes_and_unknown_arguments_do_no_harm(spec: ActionSpec) -> None:
    for args in (dict(spec.example), dict(spec.example) | {"not yet known": [1]}):
        message = decode_client(encode_client(Action(1, spec.name, args)))
        assert isinstance(message, Action)
        assert type(message.args) is spec.args


@pytest.mark.parametrize("spec", [*ACTIONS.values(), *EVENTS.values()], ids=lambda spec: spec.name)
def test_what_an_entry_holds_is_a_map_whose_fields_are_described(spec: ActionSpec | EventSpec) -> None:
    structs = (spec.args, spec.result) if isinstance(spec, ActionSpec) else (spec.data,)
    assert spec.doc.endswith(".")
    for struct in structs:
        info = msgspec.inspect.type_info(struct)
        assert isinstance(info, msgspec.inspect.StructType)
        assert not info.array_like
        assert not info.forbid_unknown_fields
        assert struct.__struct_config__.frozen
        for field in info.fields:
            assert isinstance(field.type, msgspec.inspect.Metadata), field.name
            assert (field.type.extra_json_schema or {}).get("description"), field.name


def test_names_are_system_dot_verb() -> None:
    for name in [*ACTIONS, *EVENTS]:
        assert name == "noop" or all(part.isidentifier() and part.islower() for part in name.split(".", 1))
