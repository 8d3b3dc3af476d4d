"""The command line of the pipeline: analyse, compare, follow, models, validate, check-scans."""
