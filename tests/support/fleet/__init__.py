"""The operator's command without a cloud: a deployment that consists of outputs, a table and AWS IoT."""
