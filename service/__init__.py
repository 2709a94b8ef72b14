"""MCPS: a self-hosted catalog of MCP servers."""
