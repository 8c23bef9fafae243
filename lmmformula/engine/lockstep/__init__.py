"""Many responses of one design fitted together, as one batched Newton method."""
