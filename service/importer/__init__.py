"""Takes over files of the earlier MCPS, which kept its catalog in one SQLite file."""
