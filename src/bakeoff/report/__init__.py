"""A comparison as a page, and as a lab report, for people who look before they read. No torch at import."""
