"""Other SCIM servers, each served as its documentation says, in an environment of its own."""
