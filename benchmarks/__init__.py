"""Benchmarks of lmmformula against other mixed-model packages; see ``README.md``."""
