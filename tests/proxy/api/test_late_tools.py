from __future__ import annotations

from pathlib import Path

import orjson

from tests.proxy.live import Upstream, body, proxy_over, says
from tests.proxy.translate.late_tools.test_tool_offer import (
    BASE,
    HOLDER,
    deferred,
    read,
    searched,
    tool,
    user,
)

PATH = "/v1/messages"


async def test_the_count_is_of_the_prompt_that_the_conversation_has(tmp_path: Path) -> None:
    upstream = Upstream(says("Well."), other={"/v1/tokenize": {"count": 3}})
    begun = body(messages=[user("Hello.")], tools=[*BASE, HOLDER])
    tools = [tool("mcp__x__y"), *BASE[1:], deferred("WebFetch"), HOLDER]
    later = body(messages=[user("Hello."), *searched("WebFetch"), *read(1)], tools=tools)
    async with proxy_over(upstream, tmp_path, kind="mlx") as running:
        await running.http.post(PATH, json=begun)
        counted = await running.http.post(f"{PATH}/count_tokens", json=later)
        await running.http.post(PATH, json=later)
    assert counted.json() == {"input_tokens": 3}
    first, second = upstream.bodies
    asked = orjson.loads(upstream.requests[1]["raw"])
    assert [asked[name] for name in ("messages", "tools", "tool_choice")] == [
        second[name] for name in ("messages", "tools", "tool_choice")
    ]
    assert [one for one in second["tools"] if not one.get("defer_loading")] == first["tools"]
    assert second["messages"][: len(first["messages"])] == first["messages"]
