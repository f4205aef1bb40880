"""A SCIM 2.0 service provider with pluggable backends, and its Flask face (RFC 7643, RFC 7644, RFC 9865)."""

__version__ = "0.1.0"
