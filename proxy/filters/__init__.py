"""The filter language of all lists: one parser for SQL, for rows in memory and for completion."""
