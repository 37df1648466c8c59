"""Tool calls as models write them, each family a description behind `reading.family.Family`.

Free of mlx: the proxy reads the calls of other servers' models with it, and replays the calls of traces.
"""
