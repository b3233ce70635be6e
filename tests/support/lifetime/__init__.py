"""Years of a fleet in a minute: the functions' and the operator's own code, in this process, with the time moved.

``clock``   what time it is.
``device``  a device: its key, what it has on its card, and when it asks.
``watch``   somebody who sees each call to AWS that can take a certificate's power away.
``world``   the deployment, its functions, its operator, and what goes wrong at random.
"""
