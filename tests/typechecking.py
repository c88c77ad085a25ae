"""The checker of type annotations, which tests/conftest.py installs."""

from beartype import BeartypeConf, beartype

# As static checkers do, accept an int where a float is annotated.
check = beartype(conf=BeartypeConf(is_pep484_tower=True))
