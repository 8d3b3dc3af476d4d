"""The private part of Streamlit that the pages' server relies on: each of its loggers has a separate handler.

tests/serve/test_page_routes.py fails when Streamlit changes it.
"""

from __future__ import annotations

import logging


def join_logs() -> None:
    """Let Streamlit's present and future loggers use the handlers of this process, for one format of all lines."""
    from streamlit import logger

    logger.setup_formatter = _hand_over
    logger.update_formatter()


def _hand_over(logger: logging.Logger) -> None:
    logger.handlers.clear()
    logger.propagate = True
