"""`python -m bench.service.valkey`: the embedded queue of DATA_DIR, in the foreground, as `make run` starts it."""

from __future__ import annotations

import os

from jobs import embedded
from jobs.settings import load_settings

if __name__ == "__main__":
    command, _ = embedded.configure(load_settings().valkey_dir)
    os.execv(command[0], command)  # noqa: S606 -- our binary and configuration file
