"""The figures of the models on labelled sets of this installation, and how to make them."""

from __future__ import annotations

from collections.abc import Sequence

import pandas as pd
import streamlit as st
from streamlit.elements.lib.column_types import ColumnConfig

from jobs.service import ModelFacts
from pipeline.quantities import QUANTITIES, SECOND
from pipeline.validation.record import Validation
from pipeline.validation.words import main_figures
from ui.parts import wording
from ui.parts.messages import escape

LEAD = """
How well a model agrees with the outlines of experts on a labelled set: overlap (Dice), distances between surfaces, and
bias, 95 % limits of agreement and ICC(2,1) of thickness, areas and volumes.
"""
NONE = "No labelled set was measured on this server."
HOW = """
With a folder of scans and a folder of label maps of the same names, an operator measures any model, on the machine
where the data are:

```sh
make validate SCANS=FOLDER LABELS=FOLDER MODELS_DIR=FOLDER
```

The report has Bland-Altman and scatter plots and the worst cases with their outlines. The figures are stored beside the
weights in `MODELS_DIR` and appear here and on the page of each analysis by this model.
"""


def show_validations(models: Sequence[ModelFacts]) -> None:
    """One section per model and labelled set."""
    st.markdown(LEAD)
    if not any(model.validations for model in models):
        st.write(NONE)
    for model in models:
        for validation in model.validations:
            _show(model.card.title, validation)
        if model.outdated_validations:
            names = ", ".join(model.outdated_validations)
            st.caption(escape(f"{model.card.title}: figures on {names} were measured with other weights: not shown."))
    with st.expander("Measure a labelled set"):
        st.markdown(HOW)


def _show(title: str, validation: Validation) -> None:
    st.markdown(f"**{escape(title)}: {escape(validation.set_name)}**")
    st.write(escape(main_figures(validation)))
    for note in notes(validation):
        st.caption(escape(note))
    with st.expander("All figures"):
        st.dataframe(
            outlines(validation),
            hide_index=True,
            height="content",
            alt=f"Agreement of outlines on {validation.set_name}",
            column_config={name: number(3) for name in ("Dice", "SD", "Worst")}
            | {name: number(2) for name in ("ASSD (mm)", "HD95 (mm)")},
        )
        if validation.places:
            st.dataframe(
                measures(validation),
                hide_index=True,
                height="content",
                alt=f"Agreement of measures on {validation.set_name}",
                column_config={name: number(2) for name in ("ICC(2,1)", "Pearson r")},
            )


def number(digits: int) -> ColumnConfig:
    """A column of numbers with fixed decimals."""
    return st.column_config.NumberColumn(format=f"%.{digits}f")


def notes(validation: Validation) -> list[str]:
    """What the figures leave out."""
    found = [f"{validation.layout}, measured on {validation.date}."]
    if validation.refused:
        found.append(f"{validation.refused} further scans have no result.")
    if validation.without_bones:
        found.append(
            f"The label maps hold no bones: both cartilages were measured on the model's ({SECOND.display_name})."
        )
    for words, keys in (
        ("Not in the label maps", validation.not_in_set),
        ("Not segmented by the model", validation.not_segmented),
    ):
        if keys:
            found.append(f"{words}: {', '.join(wording.name(key).lower() for key in keys)}.")
    return found


def outlines(validation: Validation) -> pd.DataFrame:
    """One line per structure."""
    return pd.DataFrame(
        [
            {
                "Structure": wording.name(name),
                "Dice": round(row.dice, 3),
                "SD": round(row.dice_sd, 3),
                "Worst": round(row.dice_worst, 3),
                "ASSD (mm)": round(row.assd_mm, 2),
                "HD95 (mm)": round(row.hd95_mm, 2),
                "Cases": row.n,
                "Not found": row.missed,
            }
            for name, row in validation.structures.items()
        ]
    )


def measures(validation: Validation) -> pd.DataFrame:
    """One line per quantity and region: model - expert."""
    return pd.DataFrame(
        [
            {
                "Measure": quantity.column,
                "Region": row.title,
                "Bias": round(row.bias, quantity.digits + 1),
                "SD": round(row.sd, quantity.digits + 1),
                "RMSE": round(row.rmse, quantity.digits + 1),
                "Lower limit": round(row.low, quantity.digits + 1),
                "Upper limit": round(row.high, quantity.digits + 1),
                "ICC(2,1)": round(row.icc, 2),
                "Pearson r": round(row.pearson, 2),
                "Cases": row.n,
            }
            for quantity in QUANTITIES.values()
            for row in validation.of_quantity(quantity)
        ]
    )
