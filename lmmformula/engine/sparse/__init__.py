"""A tail of sparsely coupled levels: fill-reducing order, fronts, and entries of the inverse."""
