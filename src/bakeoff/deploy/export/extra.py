"""What ONNX files need beside bakeoff's own libraries: the extra `onnx`."""

from bakeoff.machine import installed

# What is imported -> what is installed.
_LIBRARIES = {"onnx": "onnx", "onnxscript": "onnxscript", "onnxruntime": "onnxruntime"}


def missing() -> list[str]:
    """Libraries of the extra that are not installed, as pip calls them."""
    return installed.missing(_LIBRARIES)


def check_installed() -> None:
    """Asks for all of the extra at once, before torch loads.

    Raises:
        ConfigError: some of it is missing.
    """
    installed.check_installed(_LIBRARIES, "onnx", "an ONNX file")
