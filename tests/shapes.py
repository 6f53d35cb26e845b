"""The checker of shapes, dtypes and types that the tests run the package with (pyproject.toml)."""

from beartype import BeartypeConf, beartype

# As for mypy, an int is a float.
checked = beartype(conf=BeartypeConf(is_pep484_tower=True))
