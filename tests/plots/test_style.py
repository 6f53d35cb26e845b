"""Pictures are drawn in our own style, whatever the user's environment or folder asks for."""

import os
import subprocess
import sys
from pathlib import Path

import matplotlib
import pytest

from bakeoff.plots import style

CHECK = """
import os
from bakeoff.plots import style
style.check()
import matplotlib
with style.own_style():
    print(matplotlib.rcParams["font.size"], matplotlib.rcParams["text.usetex"])
print(os.environ.get("MPLBACKEND"))
"""


@pytest.mark.parametrize(
    "variables", [{}, {"MPLBACKEND": "module://matplotlib_inline.backend_inline"}, {"MPLBACKEND": "no such"}]
)
def test_a_notebooks_backend_and_a_file_in_the_folder_change_nothing(
    tmp_path: Path, variables: dict[str, str]
) -> None:
    (tmp_path / "matplotlibrc").write_text("text.usetex: True\nfont.size: 33\n")
    clean = {name: value for name, value in os.environ.items() if name != "MPLBACKEND"}
    done = subprocess.run(
        [sys.executable, "-c", CHECK],
        env=clean | variables, cwd=tmp_path, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == f"10.0 False\n{variables.get('MPLBACKEND')}\n"


def test_the_users_own_style_is_back_after_a_picture() -> None:
    with matplotlib.rc_context({"text.usetex": True, "font.size": 33.0}):
        with style.own_style():
            assert (matplotlib.rcParams["text.usetex"], matplotlib.rcParams["font.size"]) == (False, 10.0)
        assert (matplotlib.rcParams["text.usetex"], matplotlib.rcParams["font.size"]) == (True, 33.0)
        style.check()
