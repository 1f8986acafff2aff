"""The grammar of marks: every example of the design, nothing lost, and back again."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ionm.annotations import SITES, Mark, format_mark, parse

DESIGN = {
    "stim/zygomatic": ("stim", "zygomatic", {}),
    "stim/zygomatic/mA=12": ("stim", "zygomatic", {"mA": "12"}),
    "stim/mandibular/mA=9/side=L": ("stim", "mandibular", {"mA": "9", "side": "L"}),
    "stim/click/ear=L/polarity=rarefaction": ("stim", "click", {"ear": "L", "polarity": "rarefaction"}),
    "stim/tes/V=300/pulses=4/isi_ms=2": ("stim", "tes", {"V": "300", "pulses": "4", "isi_ms": "2"}),
    "stim/probe/mA=0.5/target=AICA": ("stim", "probe", {"mA": "0.5", "target": "AICA"}),
    "note/case/side=L": ("note", "case", {"side": "L"}),
    "note/baseline/modality=lsr": ("note", "baseline", {"modality": "lsr"}),
    "note/vessel-lifted/vessel=VA+AICA": ("note", "vessel-lifted", {"vessel": "VA+AICA"}),
    "note/bolus/drug=propofol": ("note", "bolus", {"drug": "propofol"}),
    "note/text/the surgeon says: x=1 / y=2": ("note", "text", {"text": "the surgeon says: x=1 / y=2"}),
    "note/text/": ("note", "text", {"text": ""}),
    "note/text": ("note", "text", {"text": ""}),
    "  stim/trunk/mA=1  ": ("stim", "trunk", {"mA": "1"}),
}


@pytest.mark.parametrize("text", DESIGN)
def test_marks_of_the_design_are_read(text):
    kind, name, attributes = DESIGN[text]

    assert parse(text) == Mark(kind, name, attributes)


@pytest.mark.parametrize(
    "text",
    [
        "",
        " ",
        "stim",
        "stim/",
        "note",
        "note//x=1",
        "Stim/zygomatic",
        "stimulus/zygomatic",
        "S  1",
        "BAD/x",
        "/stim/x",
    ],
)
def test_other_texts_are_no_marks(text):
    assert parse(text) is None


def test_nothing_that_a_person_wrote_is_dropped():
    assert parse("note/irrigation/warm/ml=20/x=a=b").attributes == {"warm": "", "ml": "20", "x": "a=b"}


def test_the_sites_are_those_of_the_design():
    design = "zygomatic temporal buccal mandibular trunk supraorbital click tes probe tof"
    assert set(SITES) == set(design.split())


PLAIN = st.text(st.characters(exclude_characters="/=", exclude_categories=["C", "Z"]), min_size=1, max_size=8)
VALUES = st.text(st.characters(exclude_characters="/", exclude_categories=["C", "Z"]), max_size=8)


@given(st.sampled_from(["stim", "note"]), PLAIN, st.dictionaries(PLAIN, VALUES, max_size=4))
def test_a_written_mark_reads_back(kind, name, attributes):
    if (kind, name) == ("note", "text"):
        attributes = {"text": "free"}

    assert parse(format_mark(kind, name, attributes)) == Mark(kind, name, attributes)


@given(st.text(st.characters(exclude_categories=["C", "Z"]), max_size=30))
def test_free_text_reads_back(text):
    assert parse(format_mark("note", "text", {"text": text})) == Mark("note", "text", {"text": text})


@given(st.text(max_size=40))
def test_no_text_breaks_the_reader(text):
    found = parse(text)

    assert found is None or (found.kind in ("stim", "note") and found.name)


@pytest.mark.parametrize("attributes", [{"a/b": "1"}, {"a": "1/2"}])
def test_a_slash_in_a_key_or_value_is_refused(attributes):
    with pytest.raises(ValueError, match='a mark cannot hold "/" in a key or value'):
        format_mark("stim", "tes", attributes)


@pytest.mark.parametrize("name", ["a/b", ""])
def test_a_name_that_would_not_read_back_is_refused(name):
    with pytest.raises(ValueError, match="name"):
        format_mark("note", name)


def test_a_key_that_would_not_read_back_is_refused():
    with pytest.raises(ValueError, match="key"):
        format_mark("note", "x", {"a=b": "1"})
