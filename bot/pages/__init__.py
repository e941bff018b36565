"""Web pages. Each is whole without a script, and everything in it that somebody else wrote is escaped."""
