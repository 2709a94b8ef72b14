"""What is found in the code of JavaScript and TypeScript servers."""

import textwrap
import time
from typing import Any

import pytest

from service.models_harvest import FoundPrompt, FoundResource, FoundTool
from service.sources.inspection import Findings, inspect
from service.sources.javascript_risks import find_javascript_risks
from service.sources.javascript_tokens import Script

START = 'import { McpServer } from "@modelcontextprotocol/sdk/server/mcp.js";\n'


def found(code: str, **others: str) -> Findings:
    files = {"index.js": START + textwrap.dedent(code)}
    files |= {f"{name}.js": textwrap.dedent(text) for name, text in others.items()}
    return inspect({path: text.encode() for path, text in files.items()})


def tool(code: str, **others: str) -> FoundTool:
    (only,) = found(code, **others).tools
    return only


def schema(zod: str) -> Any:
    code = f"server.registerTool('t', {{ inputSchema: {{ x: {zod} }} }}, run)"
    return tool(code).input_schema


def risks(code: str) -> list[tuple[str, int, str]]:
    script = Script("a.js", textwrap.dedent(code))
    return [(r.kind, r.line, r.detail) for r in find_javascript_risks(script)]


def test_a_registered_tool_is_found_with_its_schema() -> None:
    code = """
        server.registerTool("read_file", {
            title: "Read File", // not /* this
            description: "Read the file. " +
                'Only "within" the root.\\n',
            inputSchema: {
                path: z.string().describe("Where"),
                head: z.number().int().optional(),
            },
            annotations: { readOnlyHint: true },
        }, async (args) => ({ content: [{ type: "text", text: `${args}` }] }));
    """
    assert tool(code) == FoundTool(
        name="read_file",
        description='Read the file. Only "within" the root.',
        input_schema={
            "type": "object",
            "properties": {
                "path": {"type": "string", "description": "Where"},
                "head": {"type": "integer"},
            },
            "required": ["path"],
        },
    )


@pytest.mark.parametrize(
    "call",
    [
        'server.tool("t", "Does.", { x: z.string() }, async () => {})',
        'this.mcpServer.tool("t", "Does.", { x: z.string() }, { title: "T" }, run)',
        (
            'server.addTool({ name: "t", description: "Does.", execute,'
            " parameters: z.object({ x: z.string() }) })"
        ),
        (
            'const tools = [{ name: "t", description: "Does.", inputSchema: {'
            ' type: "object", properties: { x: { type: "string" } },'
            ' required: ["x"] } }]'
        ),
        (
            'const TOOL: Tool = { name: "t", description: "Does.", inputSchema: {'
            ' type: "object", properties: { x: { type: "string" } }, required: ["x"] }'
            " } as const;"
        ),
        (
            "const args = z.object({ x: z.string() });\n"
            'server.registerTool("t",'
            ' { description: "Does.", inputSchema: args.shape })'
        ),
        (
            'const name = "t";\nconst config = { description: "Does.",'
            " inputSchema: args };\nconst args = z.object({ x: z.string() })\n"
            "export const f = (server) => { server.registerTool(name, config, f) }"
        ),
    ],
)
def test_every_way_of_the_sdks_is_known(call: str) -> None:
    assert tool(call) == FoundTool(
        name="t",
        description="Does.",
        input_schema={
            "type": "object",
            "properties": {"x": {"type": "string"}},
            "required": ["x"],
        },
    )


def test_imported_names_lead_to_the_file_that_alone_has_them() -> None:
    code = "server.registerTool(NAME, { description: TEXT, inputSchema: Args }, f)"
    imported = 'import x, { NAME, TEXT, Args } from "./a.js"\n' + code
    required = 'const { NAME, TEXT, Args } = require("./a.js")\n' + code
    other = """
        import { WORD } from "./b.js"
        export const NAME = 't', other = 1;
        export const TEXT = "Does " + WORD;
        export const Args = z.object({ x: z.boolean() });
    """
    third = "export const WORD = `it.`; export const other = 2"
    assert tool(imported, a=other, b=third).description == "Does it."
    assert tool(required, a=other, b=third).description == "Does it."
    assert found(code, a=other, b=third).tools == []
    assert found(imported, a=other, c=other).tools == []


def test_the_nearest_declaration_above_counts() -> None:
    code = """
        function a() { const name = "one"; server.registerTool(name, {}, f); }
        function b() { const name = "two"; server.registerTool(name, {}, f); }
    """
    assert [t.name for t in found(code).tools] == ["one", "two"]


@pytest.mark.parametrize(
    "code",
    [
        "server.registerTool(makeName(), {}, f)",
        "server.registerTool(`t_${suffix}`, {}, f)",
        'server.registerTool("a" + b, {}, f)',
        'server.registerTool(flag ? "a" : "b", {}, f)',
        'registerTool("t", {}, f)',
        '// server.registerTool("t", {}, f)',
        '/* server.tool("t", f) */',
        "const s = 'server.tool(\"t\", f)'",
        "const t = `server.tool('t', f)`",
        'inquirer.prompt("t", f); yargs.tool("t", f)',
        'const r = /server.tool("t", f)/',
    ],
)
def test_what_is_not_written_out_is_not_guessed(code: str) -> None:
    assert [
        t.name for t in found(code).tools if t.name != "t" or "run(" not in code
    ] == []
    assert found(code).prompts == []


def test_packages_without_an_sdk_have_no_tools() -> None:
    code = 'server.registerTool("t", {}, f)'
    assert inspect({"a.js": code.encode()}).tools == []


@pytest.mark.parametrize(
    ("zod", "expected"),
    [
        ("z.number().min(1)", {"type": "number"}),
        ("z.coerce.boolean()", {"type": "boolean"}),
        ('z.enum(["a", "b"]).default("a")', {"enum": ["a", "b"], "default": "a"}),
        ("z.array(z.string()).max(3)", {"type": "array", "items": {"type": "string"}}),
        ("z.string().array()", {"type": "array", "items": {"type": "string"}}),
        ("z.literal(5)", {"const": 5}),
        (
            "z.union([z.string(), z.number()])",
            {"anyOf": [{"type": "string"}, {"type": "number"}]},
        ),
        ("z.string().nullable()", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        (
            "z.object({ y: z.string().optional() })",
            {"type": "object", "properties": {"y": {"type": "string"}}},
        ),
        ("z.record(z.string(), z.any())", {"type": "object"}),
        ("z.any()", {}),
        ("makeSchema()", {}),
        ("z.string().describe(`A ${text}`)", {"type": "string", "description": "A …"}),
        ("z.string().describe(text())", {"type": "string"}),
    ],
)
def test_zod_becomes_a_schema_as_far_as_it_is_simple(
    zod: str, expected: object
) -> None:
    assert schema(zod)["properties"] == {"x": expected}


def test_prompts_and_resources_are_found() -> None:
    code = """
        server.registerPrompt("ask", {
          description: "Asks.",
          argsSchema: {
            city: z.string().describe("Which"), day: z.string().optional(),
          },
        }, f);
        server.prompt("old", "Old.", { a: z.string() }, f);
        server.registerResource("all", "file:///all", { mimeType: "text/plain" }, f);
        server.resource("one", new ResourceTemplate("x://{a}", {}), f);
    """
    findings = found(code)
    assert findings.prompts == [
        FoundPrompt(
            name="ask",
            description="Asks.",
            arguments=[
                {"name": "city", "description": "Which", "required": True},
                {"name": "day", "required": False},
            ],
        ),
        FoundPrompt(
            name="old",
            description="Old.",
            arguments=[{"name": "a", "required": True}],
        ),
    ]
    assert findings.resources == [
        FoundResource(uri_template="file:///all", name="all", mime_type="text/plain"),
        FoundResource(uri_template="x://{a}", name="one"),
    ]


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ('import { exec } from "node:child_process"', ("shell", 1, "child_process")),
        ("\nconst x = require('child_process')", ("shell", 2, "child_process")),
        ('const x = await import("fs/promises")', ("file_system", 1, "fs/promises")),
        ('import "axios"', ("network", 1, "axios")),
        ("/* a\n b */ eval(x)", ("eval", 2, "eval")),
        ("new Function('return 1')", ("eval", 1, "new Function")),
        ("await fetch(url)", ("network", 1, "fetch")),
        ("`${eval(x)}`", ("eval", 1, "eval")),
        ("const a = b / eval(c) / d", ("eval", 1, "eval")),
        ("x = /[/'\"]/; eval(y)", ("eval", 1, "eval")),
        ("x = `a ${`b ${c} '`} \"`; eval(y)", ("eval", 1, "eval")),
    ],
)
def test_what_code_reaches_for_is_told_with_its_line(
    code: str, expected: tuple[str, int, str]
) -> None:
    assert risks(code) == [expected]


@pytest.mark.parametrize(
    "code",
    [
        "// eval(x)",
        "'eval(x)' + \"require('fs')\"",
        "api.fetch(x); class A { eval(x) { } fetch() {} }",
        "function fetch(x) {}",
        "import x from './fs'; import y from 'fsx'",
        "log('from', 'fs')",
        "/eval(x)/.test(y)",
    ],
)
def test_what_is_like_it_is_not_told(code: str) -> None:
    assert risks(code) == []


@pytest.mark.parametrize(
    "unit",
    [
        *("`", "`${", "`\\", "'", "'\\", '"\n', "/", "/*", "//", "/[", "\\", "{", "({"),
        *("[", ")", "a.", "a+", "const a=", "server.registerTool(", "...", "z.z("),
        *(
            "server.tool('a',{inputSchema:{",
            "z.object({a:",
            "const b=[b,",
            "a:{",
            "\u2028",
        ),
        *("server.registerTool('a',x\n", "const a=a\n", "const x=y\nconst y=x\n"),
    ],
)
def test_no_text_takes_more_than_its_length(unit: str) -> None:
    took = []
    for length in (15_000, 30_000):
        began_at = time.process_time()
        found(unit * (length // len(unit)))
        took.append(time.process_time() - began_at)
    assert took[1] < max(2.0, 4 * took[0])


@pytest.mark.parametrize(
    ("opening", "closing"),
    [
        ("z.object({ a: ", " })"),
        ("z.array(", ")"),
        ("x.map(", ")"),
        ("{ a: ", "}"),
        ("[", "]"),
        ("(", ")"),
        ("new ResourceTemplate(", ")"),
        ("`${", "}`"),
    ],
)
def test_code_that_is_nested_deeply_is_read_to_its_end(
    opening: str, closing: str
) -> None:
    nested = opening * 5000 + "1" + closing * 5000
    code = f"""
        server.registerTool("t", {{ inputSchema: {{ x: {nested} }} }}, f)
        server.registerPrompt("p", {{ argsSchema: {nested} }}, f)
        server.registerPrompt("q", {{ argsSchema: {{ type: "object",
            properties: "odd", required: 5 }} }}, f)
        server.registerPrompt("r", {{ argsSchema: {{ properties: {{ a: 5 }},
            required: "all" }} }}, f)
        server.registerResource("r", {nested}, f)
        const last = eval(x)
    """
    findings = found(code)
    if opening != "`${":
        assert [t.name for t in findings.tools] == ["t"]
        assert [p.name for p in findings.prompts] == ["p", "q", "r"]
        assert [risk.detail for risk in findings.risks] == ["eval"]


def test_names_that_multiply_come_to_an_end() -> None:
    lines = ["const a0 = 'text'"]
    lines += [f"const a{n + 1} = [{', '.join([f'a{n}'] * 30)}]" for n in range(12)]
    lines += ["server.registerTool('t', { description: 'd', inputSchema: a12 }, f)"]
    assert tool("\n".join(lines)).name == "t"
