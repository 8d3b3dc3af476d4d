"""The flags of the command line are the fields of AnalysisOptions."""

from dataclasses import fields

import pytest

from pipeline.command_line.analyse import build_parser
from pipeline.command_line.options import options_of
from pipeline.errors import OptionsError
from pipeline.options import AnalysisOptions

NO_FLAG = {"retain_results"}
"""Only the service keeps copies for research."""


def options(*words):
    return options_of(build_parser("kneebox").parse_intermixed_args([*words]))


def test_every_option_has_a_flag_with_its_help():
    text = " ".join(build_parser("kneebox").format_help().split())
    for item in fields(AnalysisOptions):
        assert (item.metadata["flag"] == "") == (item.name in NO_FLAG)
        assert item.metadata["flag"] in text
        assert item.name in NO_FLAG or item.metadata["help"] in text


def test_a_call_without_flags_has_the_defaults():
    assert options("in", "out") == AnalysisOptions()


def test_each_flag_sets_its_option():
    given = ("--model", "nnunet_cascade", "--side", "left", "--no-nsm", "--nsm-type", "both", "--skip-first-echo")
    assert options(
        "in", "out", *given, "--cartilage-smoothing", "0.5", "--series", "5a", "--knee", "2", "--turn", "RPI"
    ) == AnalysisOptions(
        segmentation_model="nnunet_cascade",
        side="left",
        perform_nsm=False,
        nsm_type="both",
        skip_first_echo=True,
        cartilage_smoothing=0.5,
        series="5a",
        knee="2",
        turn="RPI",
    )


def test_a_value_outside_its_bounds_is_refused():
    with pytest.raises(OptionsError, match=r"expected 0\.0 to 4\.0"):
        options("in", "out", "--cartilage-smoothing", "9")


@pytest.mark.parametrize(
    "words",
    [
        "in out --no-nsm --side right",
        "in --no-nsm out --side right",
        "--no-nsm in --side right out",
        "--no-nsm --side right in out",
    ],
)
def test_the_paths_may_stand_anywhere_among_the_flags(words):
    given = build_parser("kneebox").parse_intermixed_args(words.split())
    assert given.paths == ["in", "out"]
    assert (given.perform_nsm, given.side) == (False, "right")
