"""What happens to a live deployment in `test_changing_a_live_deployment`, subject by subject."""
