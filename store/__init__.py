"""What outlives a process: rows in Postgres, files in a blob store, messages on Redis.

All SQL is here, as plain functions that take the session first; whoever calls them commits.
"""
