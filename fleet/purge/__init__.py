"""``zymkey-fleet purge``: all that a destroyed deployment left goes, the ledger last: it is the list of the rest.

``inventory``  what there is, and what it costs while it stays.
``removal``    how each kind of it goes. Each step can be repeated.
"""
