"""What a request costs, against a bare Flask route behind the same server."""
