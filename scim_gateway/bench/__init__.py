"""What requests to a SCIM service cost, seen from a client: the workloads of an identity provider, timed.

``benchmarks/`` measures servers that it starts itself by this package; ``scim-gateway bench`` measures a deployment.
"""
