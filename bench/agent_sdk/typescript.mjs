// A program that runs Claude Code by the SDK for TypeScript: reads what to do from stdin (bench/agent_sdk/typescript.py),
// writes what came of it to stdout as one line of JSON.

import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { pathToFileURL } from "node:url";

const given = JSON.parse(readFileSync(0, "utf8"));
const require = createRequire(`${given.packages}/package.json`);
const load = (name) => import(pathToFileURL(require.resolve(name)).href);
const { query, tool, createSdkMcpServer } = await load("@anthropic-ai/claude-agent-sdk");
const { z } = await load("zod");

const shared = {
  pathToClaudeCodeExecutable: given.claude,
  cwd: given.cwd,
  env: given.env,
  settings: given.settings,
  systemPrompt: { type: "preset", preset: "claude_code" },
};

async function tools() {
  let hooks = 0;
  const add = tool("add", "Adds two numbers.", { a: z.number(), b: z.number() }, async ({ a, b }) => ({
    content: [{ type: "text", text: `SUM ${a + b}` }],
  }));
  const options = {
    ...shared,
    permissionMode: "default",
    allowedTools: ["mcp__till__add"],
    mcpServers: { till: createSdkMcpServer({ name: "till", version: "1", tools: [add] }) },
    hooks: { PreToolUse: [{ hooks: [async () => (hooks++, {})] }] },
    canUseTool: async () => ({ behavior: "deny", message: "Not in this test." }),
  };
  let result = null;
  for await (const message of query({ prompt: "Add, then touch.", options })) {
    if (message.type === "result") result = message.result;
  }
  return { result, hooks };
}

async function session() {
  let streamed = "";
  let structured = null;
  let answered = () => {};
  async function* prompts() {
    for (const content of ["first", "second"]) {
      const answer = new Promise((resolve) => (answered = resolve));
      yield { type: "user", message: { role: "user", content }, parent_tool_use_id: null };
      await answer;
    }
  }
  const schema = { type: "object", properties: { total: { type: "integer" } }, required: ["total"] };
  const options = {
    ...shared,
    permissionMode: "bypassPermissions",
    allowDangerouslySkipPermissions: true,
    includePartialMessages: true,
    outputFormat: { type: "json_schema", schema },
  };
  for await (const message of query({ prompt: prompts(), options })) {
    if (message.type === "stream_event" && message.event.delta?.type === "text_delta") streamed += message.event.delta.text;
    if (message.type === "result") {
      structured = message.structured_output ?? structured;
      answered();
    }
  }
  return { streamed, structured };
}

const told = await { tools, session }[given.case]();
process.stdout.write(`${JSON.stringify(told)}\n`);
