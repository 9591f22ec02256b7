"""Strict JSON and strict zip: what is refused is tested with the readers; here what is read."""

from __future__ import annotations

import io
import json
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from netledger.errors import SpecError
from netledger.untrusted import DEEPEST_JSON, open_zip, read_json

VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text(st.characters(exclude_categories=["Cs"])),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=3).filter(str.isascii), inner),
)


@settings(deadline=None)  # the first example pays for imports
@given(VALUES, st.booleans())
def test_json_is_read_as_python_reads_it(value: object, ascii_only: bool) -> None:
    data = json.dumps(value, ensure_ascii=ascii_only).encode()
    assert read_json(data, "x") == value


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        (b"[", b"]"),
        (b'{"a":', b"}"),
        (b'["[",', b"]"),
        (rb'["\\\"]}",', b"]"),  # brackets in texts, behind quotes that do not end them
        (rb'{"":"\\","]\\\\":', b"}"),
    ],
)
def test_the_deepest_json_is_read_and_one_deeper_is_not(opening: bytes, closing: bytes) -> None:
    deepest = opening * DEEPEST_JSON + b"0" + closing * DEEPEST_JSON
    assert read_json(deepest, "x")
    with pytest.raises(SpecError, match="nested deeper than 64"):
        read_json(opening + deepest + closing, "x")


@settings(deadline=None)
@given(VALUES, st.text('a:,"\\\\{}[]', max_size=5), st.booleans())
def test_a_key_that_stands_twice_is_refused_wherever_it_is(
    value: object, key: str, first: bool
) -> None:
    other, name = json.dumps(value), json.dumps(key)
    twice = f"{{{name}: {other}, {json.dumps(key + '.')}: 0, {name}: 0}}"
    data = f"[{twice}, {other}]" if first else f"[{other}, {{{name}: {twice}}}]"
    with pytest.raises(SpecError) as caught:
        read_json(data.encode(), "x")
    assert caught.value.fact == f"the key {key!r} stands twice in one JSON object"


@pytest.mark.parametrize(
    ("text", "fact"),
    [
        ('[{"a": 0, "a": 0}, NaN', "the key 'a' stands twice in one JSON object"),
        ('[NaN, {"a": 0, "a": 0}]', "NaN is no JSON number"),
        ('[{"a": 0, "a": 0} 1', "the key 'a' stands twice in one JSON object"),
    ],
)
def test_of_several_faults_the_first_is_told(text: str, fact: str) -> None:
    with pytest.raises(SpecError) as caught:
        read_json(text.encode(), "x")
    assert caught.value.fact == fact


class Unseekable(io.BytesIO):
    """Makes zipfile write sizes behind the members, as torch does."""

    def seekable(self) -> bool:
        return False

    def tell(self) -> int:
        raise io.UnsupportedOperation


@settings(deadline=None)
@given(
    st.dictionaries(st.text("abc/é_.", min_size=1, max_size=9), st.binary(max_size=99), max_size=5),
    st.booleans(),
    st.booleans(),
)
def test_zip_is_read_as_zipfile_reads_it(
    files: dict[str, bytes], packed: bool, seekable: bool
) -> None:
    file = io.BytesIO() if seekable else Unseekable()
    method = zipfile.ZIP_DEFLATED if packed else zipfile.ZIP_STORED
    with zipfile.ZipFile(file, "w", method) as made:
        for name, data in files.items():
            made.writestr(name, data)
    archive = open_zip(file.getvalue(), "x.zip")
    assert {name: archive.read(name, limit=99) for name in archive} == files
    for member in archive.members.values():
        stored = file.getvalue()[member.start : member.start + member.packed]
        assert member.deflated or stored == files[member.name]


def test_a_member_beyond_the_limit_is_not_unpacked() -> None:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as made:
        made.writestr("a", b"123456")
    with pytest.raises(SpecError, match="has 6 bytes; at most 5 are read"):
        open_zip(file.getvalue(), "x.zip").read("a", limit=5)
