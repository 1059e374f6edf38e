"""A fit as data: opened, saved, and what is known of it without asking for a forecast."""
