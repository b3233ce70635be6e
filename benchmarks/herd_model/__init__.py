"""A fleet that powers on together, in simulated time: a discrete-event model.

``agenda``      who acts when: a calendar queue for a million devices
``quota``       a token bucket, as API Gateway and AWS IoT count calls
``cloud``       what the fleet's cloud answers, with the functions' own decisions
``clients``     what a device does with an answer, by its own rules
``before``      the rules of devices and cloud before there were turns, frozen
``world``       what all of them share: the network's and AWS's figures, and chance
``simulation``  the clock that drives them, and what it counts
``goals``       what the figures have to be
"""
