"""The GraphQL object types, one family for each file."""
