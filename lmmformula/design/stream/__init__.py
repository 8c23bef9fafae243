"""Data in pieces: files, queries and iterators that need not fit in memory."""
