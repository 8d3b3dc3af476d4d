"""Echo and spin-lock times on the card of an upload."""

from __future__ import annotations

from streamlit.testing.v1 import AppTest


def page() -> None:
    """The card's question about times for a scan of three images; the text runs in a separate namespace."""
    import streamlit as st

    from pipeline.acquisition import Acquisition, PulseSequence
    from pipeline.scan_facts import ScanFacts
    from ui.home.preflight import ask_times, with_times

    facts = ScanFacts(
        shape=(20, 200, 200),
        spacing_mm=(3.0, 0.5, 0.5),
        echoes=3,
        echo_times_ms=(),
        sequence=PulseSequence.UNKNOWN,
        side=None,
        plane="sagittal",
        acquisition=Acquisition(),
        t2_unavailable="3 echoes, but no echo times in the header",
        warnings=(),
    )
    times = ask_times(facts)
    if times is not None:
        found, relaxation = with_times(facts, times)
        st.title(f"{relaxation.title}: {found.t2_unavailable or 'yes'}")


def test_spin_lock_times_give_t1rho_and_echo_times_t2() -> None:
    shown = AppTest.from_function(page, default_timeout=60).run()
    assert shown.title[0].value.startswith("T2: 3 echoes")
    echo, lock = shown.text_input
    lock.set_value("0, 10, 40").run()
    assert shown.title[0].value == "T1rho: yes"
    lock.set_value("").run()
    echo.set_value("10, 20, 30").run()
    assert shown.title[0].value == "T2: yes"


def test_wrong_or_contradicting_times_are_refused_with_a_hint() -> None:
    shown = AppTest.from_function(page, default_timeout=60).run()
    echo, lock = shown.text_input
    lock.set_value("0, 10").run()
    assert "spin_lock_times_ms has 2 entries; the scan has 3 images" in shown.error[0].value.replace("\\", "")
    lock.set_value("0, 10, 40").run()
    echo.set_value("10, 20, 30").run()
    assert not shown.title
    assert "expected one of them" in shown.error[0].value
