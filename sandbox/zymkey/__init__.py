"""A Zymkey for machines that have none: the vendor's C library and OpenSSL engine, in software.

    device.c, state.c     the device: three P-256 keys, a count of signatures, faults on request
    libzk_app_utils.c     what the vendor's Python module (PyPI zku) loads
    zymkey_ssl.c          what the vendor's ``openssl`` and ``curl`` commands load
    build.py              compiles and installs both
    device.py             what tests do to the device: count, fail, delay, unplug

Nothing here knows the product, and the product knows nothing of this: both know the vendor's names.
It uses the standard library alone, so that any interpreter can run ``python -m sandbox.zymkey build``.
"""
