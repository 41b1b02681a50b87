"""What a study found: its trials, their choice, and what they mean."""
