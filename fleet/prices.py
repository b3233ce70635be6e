"""What AWS asks for what a fleet leaves, in USD of us-east-1, 2026, a month."""

# A key in KMS. Nothing while its deletion is scheduled (AWS KMS pricing).
KEY = 1.00
# A gigabyte of DynamoDB, and of its point-in-time recovery (Amazon DynamoDB pricing, on-demand).
STORED_GB, BACKED_UP_GB = 0.25, 0.20
