"""The command's apps: one module each, its flags and `main`.

The first line of an app's docstring is its line in the list of apps, the
whole docstring its `--help`.
"""
