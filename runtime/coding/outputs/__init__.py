"""What a coding is written as: tables, events, tiers, figures, a report."""
