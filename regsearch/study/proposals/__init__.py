"""What a search proposes next, from what is known of its trials."""
