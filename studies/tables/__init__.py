"""The tables and documents of a study: the same bytes for the same results, in whatever order they were computed."""
