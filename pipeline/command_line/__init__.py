"""The command line of the pipeline: analyse, compare, models, validate, check-scans."""
