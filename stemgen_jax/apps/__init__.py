"""The commands: one module each, with its flags and `main`.

The first line of a command's docstring is its line in `stemgen-jax --help`,
the whole docstring its own `--help`.
"""
