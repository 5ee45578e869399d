"""What a configuration may say: limits, signatures, checks, and the sentences about mistakes."""
