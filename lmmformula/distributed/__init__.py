"""Data that are spread over the workers of a Dask cluster.

Everything that a worker does is a pure function of its partition, so that what is lost with a
worker can be made again by another. Nothing here is imported unless the data are Dask's.
"""
