"""stub to be replaced"""
from collections.abc import Callable
from typing import Any
import numpy as np
Describe = Callable[[np.ndarray, int], dict[str, list[Any]]]
