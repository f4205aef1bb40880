"""Stand-ins for the systems that the gateway talks to, for tests and for trying it out by hand."""
