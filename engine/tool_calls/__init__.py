"""Tool calls as models write them: one module a family, behind `engine.tool_calls.reading.family.Family`.

Free of mlx: the proxy reads with it what other servers' models write, and traces are read again with it.
"""
