"""The places that servers come from; one file each, and all that reads from afar."""
