"""The pages of the report: each reads tables that other verbs wrote, and shows those that there are."""
