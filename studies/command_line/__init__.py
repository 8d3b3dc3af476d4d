"""The command line of studies: manifest, check, run."""
