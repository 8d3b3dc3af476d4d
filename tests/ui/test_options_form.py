"""The form of the home page follows AnalysisOptions."""

from __future__ import annotations

from dataclasses import fields, replace

from streamlit.testing.v1 import AppTest

from jobs import service
from jobs.settings import Settings
from pipeline.options import CHOICES, AnalysisOptions
from pipeline.segmentation.segmenter import Availability
from ui.home import options_form

INSTALLED = service.models()[0]
MODELS = [
    replace(INSTALLED, card=replace(INSTALLED.card, id="nnunet_fullres", title="One pass")),
    replace(
        INSTALLED,
        card=replace(INSTALLED.card, id="nnunet_cascade", title="Two passes"),
        availability=Availability(available=False, reason="No weights under that name."),
    ),
]


def form_script(models: list[object]) -> None:
    """Runs inside AppTest: the form and its result in the session."""
    import streamlit as st

    from jobs.settings import Settings
    from ui.home import options_form

    keeping = Settings(research_copies=True, research_purpose="reference values")
    everyday = options_form.draw_options(models)
    advanced, email = options_form.draw_advanced()
    st.session_state["answer"] = everyday | advanced | {options_form.CONSENT: options_form.draw_consent(keeping)}
    st.session_state["email"] = email


def drawn() -> AppTest:
    script = AppTest.from_function(form_script, kwargs={"models": MODELS}).run(timeout=20)
    assert not script.exception
    return script


def test_an_untouched_form_answers_every_option_with_its_default_except_consent() -> None:
    answer = drawn().session_state["answer"]
    asked_before = {item.name for item in fields(AnalysisOptions) if item.metadata["preflight"]}
    assert answer.keys() == {item.name for item in fields(AnalysisOptions)} - asked_before
    assert AnalysisOptions(**answer) == AnalysisOptions(retain_results=False)


def test_consent_requires_ticking_the_box() -> None:
    script = drawn()
    consent = next(box for box in script.checkbox if "research" in box.label)
    assert consent.value is False
    consent.check().run()
    assert AnalysisOptions(**script.session_state["answer"]).retain_results is True


def test_where_no_copies_are_kept_the_form_asks_for_none_and_states_it() -> None:
    assert options_form.draw_consent(Settings()) is False
    assert "No copies" in options_form.consent_details(Settings())
    keeping = Settings(research_copies=True, research_purpose="reference values", research_expiry_days=30)
    assert "30 days" in options_form.consent_details(keeping)


def test_a_model_without_weights_is_shown_as_such() -> None:
    assert drawn().selectbox[0].options == ["One pass", "Two passes (no weights installed)"]


def test_every_choice_of_the_vocabularies_can_be_chosen() -> None:
    script = drawn()
    offered = {control.label: len(control.options) for control in script.button_group}
    for name in ("side", "nsm_type"):
        title = AnalysisOptions.__dataclass_fields__[name].metadata["title"]
        assert offered[title] == len(CHOICES[name])


def test_a_number_keeps_the_bounds_of_its_option() -> None:
    number = drawn().number_input[0]
    metadata = AnalysisOptions.__dataclass_fields__["cartilage_smoothing"].metadata
    assert (number.min, number.max, number.value) == (metadata["ge"], metadata["le"], 0.3125)
