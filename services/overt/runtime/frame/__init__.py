"""The camera service: who reads which camera, and how its pictures become frames on the bus.

`lease` says whose a camera is and `leases` which are ours; `plans` and `rules` what is told of a camera; `reading` is
one camera that is read, `room` how much may be sent, `outbox` sends it, `service` is the loop over all of them.
"""
