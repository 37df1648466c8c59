"""Tool calls as models write them: one module a family, behind `engine.tool_calls.reading.family.Family`.

Free of mlx: the proxy reads the calls of other servers' models with it, and replays the calls of traces.
"""
