"""People and groups with SCIM's columns."""

from django.contrib.auth.models import AbstractUser
from django.db import models
from django_scim.models import AbstractSCIMGroupMixin, AbstractSCIMUserMixin


class Group(AbstractSCIMGroupMixin):
    """A group; its members are ``user_set``, as django-scim2 expects."""

    name = models.CharField(max_length=254, unique=True)


class User(AbstractSCIMUserMixin, AbstractUser):
    """A person."""

    scim_memberships = models.ManyToManyField(Group, related_name="user_set")

    @property
    def scim_groups(self):
        """What django-scim2 shows as groups of a user."""
        return self.scim_memberships
