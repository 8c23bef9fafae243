"""One or nested grouping factors, their groups divided over partitions: every evaluation adds up.

A partition holds some groups with all of their rows. H is then block diagonal over partitions, and
whatever the criterion and its derivatives need of the data is a sum over them. One map-reduce per
evaluation gives all of it; what depends on the fixed effects is applied to the sums afterwards.
"""
