"""A Django project around django-scim2, as its documentation describes it."""
