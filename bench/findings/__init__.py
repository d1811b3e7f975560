"""What each part found, in sections of the report."""
