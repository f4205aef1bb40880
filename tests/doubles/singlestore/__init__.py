"""A double of the SingleStore Engine: its accounts, groups, roles and sessions over the MySQL protocol."""
