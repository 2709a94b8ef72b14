"""What a request costs: the measurements behind `ops/bench`."""
