"""`python -m bakeoff` is the same program as `bakeoff`."""

import os
import sys

if __name__ == "__main__":
    # `-m` puts the current folder first on sys.path, where a stranger's torch.py or hydra_plugins/
    # would be imported. The console script does not, and neither do we.
    if not sys.flags.safe_path and sys.path[:1] and os.path.realpath(sys.path[0]) == os.getcwd():
        del sys.path[0]

    from bakeoff.cli import run_as_process

    run_as_process()
