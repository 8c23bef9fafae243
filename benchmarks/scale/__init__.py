"""Scale: data past memory, past one process, past the dense block (see README.md)."""
