"""The suites on other dates, in other time zones, and on a machine at half speed."""
