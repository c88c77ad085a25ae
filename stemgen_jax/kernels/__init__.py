"""Kernels: what a compiler does not fuse by itself."""
