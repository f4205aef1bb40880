"""Keeps targets equal to a directory: desired state with generations, applied in the request, retried till it holds."""
