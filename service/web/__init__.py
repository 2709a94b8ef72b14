"""All HTTP, one file per audience."""
