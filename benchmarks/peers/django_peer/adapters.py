"""django-scim2's adapters; what its documentation leaves to the application: a deletion by the SCIM id."""

from django_scim.adapters import SCIMGroup, SCIMUser


class User(SCIMUser):
    """Of a person."""

    def delete(self):
        """Remove the row."""
        self.obj.delete()


class Group(SCIMGroup):
    """Of a group."""

    def delete(self):
        """Remove the row."""
        self.obj.delete()
