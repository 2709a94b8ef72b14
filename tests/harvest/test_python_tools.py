"""What is found in the code of Python servers."""

import textwrap
from typing import Any

import pytest

from service.models_harvest import FoundPrompt, FoundResource, FoundTool, Risk
from service.sources.inspection import inspect
from service.sources.python_names import Module
from service.sources.python_risks import find_python_risks

START = "from mcp.server.fastmcp import FastMCP, Context\nmcp = FastMCP('x')\n"


def tools(code: str, start: str = START) -> dict[str, FoundTool]:
    found = inspect({"server.py": (start + textwrap.dedent(code)).encode()})
    assert found.unread == []
    return {tool.name: tool for tool in found.tools}


def schema(code: str) -> Any:
    (tool,) = tools(code).values()
    return tool.input_schema


def risks(code: str) -> list[tuple[str, int, str]]:
    module = Module("a.py", textwrap.dedent(code))
    return [(risk.kind, risk.line, risk.detail) for risk in find_python_risks(module)]


@pytest.mark.parametrize(
    "decorator",
    ["@mcp.tool()", "@mcp.tool", "@mcp.tool(annotations={})", "@self.mcp.tool()"],
)
@pytest.mark.parametrize("kind", ["def", "async def"])
def test_a_decorated_function_is_a_tool(decorator: str, kind: str) -> None:
    code = f'''
        {decorator}
        {kind} add(a: int, b: int = 2) -> int:
            """Add two numbers.

            Both are whole.
            """
            return a + b
    '''
    (tool,) = tools(code).values()
    assert tool == FoundTool(
        name="add",
        description="Add two numbers.\n\nBoth are whole.",
        input_schema={
            "type": "object",
            "properties": {
                "a": {"type": "integer"},
                "b": {"type": "integer", "default": 2},
            },
            "required": ["a"],
        },
    )


@pytest.mark.parametrize(
    "decorator",
    [
        '@mcp.tool(name="sum", description="Adds.")',
        '@mcp.tool("sum", description="Adds.")',
        "@mcp.tool(name=NAME, description='Ad' 'ds.')",
        "@mcp.tool(name=Names.SUM, description='Ad' + \"ds.\")",
        "@mcp.tool(name=Names.SUM.value, description=TEXT.strip())",
    ],
)
def test_names_and_texts_count_where_they_are_written_out(decorator: str) -> None:
    code = f'''
        NAME = "sum"
        TEXT = """
        Adds.
        """
        class Names(str, Enum):
            SUM = "sum"
        def create():
            {decorator}
            def add(): ...
    '''
    assert tools(code)["sum"].description == "Adds."


def test_functions_that_are_handed_over_are_tools() -> None:
    code = '''
        def one(a: str):
            """First."""
        mcp.add_tool(one)
        mcp.add_tool(one, name="uno", description="Other.")
        mcp.add_tool(elsewhere)
    '''
    found = tools(code)
    assert {name: tool.description for name, tool in found.items()} == {
        "one": "First.",
        "uno": "Other.",
    }


def test_the_lists_of_low_level_servers_are_read() -> None:
    code = """
        from mcp.types import Tool, Prompt, PromptArgument
        from mcp import types
        class Args(BaseModel):
            repo: str
            count: int = 10
        @server.list_tools()
        async def list_tools():
            return [
                Tool(name="status", description="Shows.",
                     inputSchema=Args.model_json_schema()),
                types.Tool(name="log", description=f"of {day}",
                     inputSchema={"type": "object", "properties": {"a": {}, x: y}}),
                types.Tool(name=name_of(x), inputSchema={}),
                Other(name="no"),
            ]
    """
    found = tools(code, "")
    assert set(found) == {"status", "log"}
    assert found["status"].input_schema == {
        "type": "object",
        "properties": {
            "repo": {"type": "string"},
            "count": {"type": "integer", "default": 10},
        },
        "required": ["repo"],
    }
    assert found["log"].description is None


def test_imported_names_lead_to_the_module_that_alone_has_them() -> None:
    server = START + textwrap.dedent(
        """
        from .words import NAME, Args, Tools, work
        @mcp.tool(name=NAME, description=LOCAL)
        def one(args: Args, other: Unheard): ...
        @mcp.tool(name=Tools.TWO)
        def two(): ...
        mcp.add_tool(work)
        """
    )
    words = """
        from .more import Kind
        NAME = "uno"
        LOCAL = "not imported"
        class Unheard(BaseModel):
            x: int
        class Args(BaseModel):
            kind: Kind
        class Tools:
            TWO = "dos"
        def work(n: int):
            "Works."
    """
    more = "class Kind(Enum):\n    A = 'a'\n"
    files = {"p/a.py": server, "p/words.py": textwrap.dedent(words), "p/more.py": more}
    found = inspect({path: text.encode() for path, text in files.items()})
    assert [(t.name, t.description) for t in found.tools] == [
        *(("uno", None), ("dos", None), ("work", "Works.")),
    ]
    properties = found.tools[0].input_schema["properties"]
    assert properties["args"]["properties"] == {"kind": {"enum": ["a"]}}
    assert properties["other"] == {}


def test_what_only_looks_like_a_tool_is_none() -> None:
    code = """
        agent = Agent('x')
        @agent.tool
        def of_an_agent(): ...
        @tool
        def of_nobody(): ...
        @mcp.other()
        def of_another_kind(): ...
        @make().tool()
        def of_a_call(): ...
    """
    assert tools(code) == {}
    assert tools("@mcp.tool()\ndef a(): ...", "from other import mcp\n") == {}


def test_resources_and_prompts_are_found() -> None:
    code = '''
        @mcp.resource("file:///{path}", mime_type="text/plain")
        async def read(path: str):
            """Reads a file."""
        @mcp.resource(computed())
        def unknown(): ...
        @mcp.prompt(name="ask")
        def prompt(topic: Annotated[str, Field(description="About what")], n: int = 1):
            """Asks."""
    '''
    found = inspect({"a.py": (START + textwrap.dedent(code)).encode()})
    assert found.resources == [
        FoundResource(
            uri_template="file:///{path}",
            name="read",
            mime_type="text/plain",
            description="Reads a file.",
        )
    ]
    assert found.prompts == [
        FoundPrompt(
            name="ask",
            description="Asks.",
            arguments=[
                {"name": "topic", "description": "About what", "required": True},
                {"name": "n", "required": False},
            ],
        )
    ]


@pytest.mark.parametrize(
    ("annotation", "expected"),
    [
        ("str", {"type": "string"}),
        ("'int'", {"type": "integer"}),
        ("list[str]", {"type": "array", "items": {"type": "string"}}),
        ("dict[str, int]", {"type": "object"}),
        ("str | None", {"anyOf": [{"type": "string"}, {"type": "null"}]}),
        ("Optional[float]", {"anyOf": [{"type": "number"}, {"type": "null"}]}),
        ("Union[str, int]", {"anyOf": [{"type": "string"}, {"type": "integer"}]}),
        ("Literal['a', 'b']", {"enum": ["a", "b"]}),
        ("Color", {"enum": ["red", 2]}),
        ("datetime", {"type": "string", "format": "date-time"}),
        (
            "Annotated[int, Field(ge=1, description='How many')]",
            {"type": "integer", "minimum": 1, "description": "How many"},
        ),
        ("Annotated[str, 'A text']", {"type": "string", "description": "A text"}),
        ("Alias", {"type": "array", "items": {"type": "boolean"}}),
        ("Anything | None", {}),
        ("made.by[Somebody]", {}),
        ("Any", {}),
        ("Node", {"type": "object", "properties": {"next": {}}, "required": ["next"]}),
        ("lambda: 0", {}),
    ],
)
def test_annotations_become_a_schema_as_far_as_they_are_simple(
    annotation: str, expected: object
) -> None:
    code = f"""
        Alias = list[bool]
        class Color(Enum):
            RED = "red"
            BLUE = 2
        class Node(BaseModel):
            next: "Unheard"
        @mcp.tool()
        def f(self, x: {annotation}, ctx: Context, cx: "Context | None" = None,
              o: Optional[Context] = None): ...
    """
    assert schema(code)["properties"] == {"x": expected}


def test_a_field_says_whether_it_has_to_be_given() -> None:
    code = """
        @mcp.tool()
        def f(a: str = Field(..., description="A"), b: int = Field(3, le=9),
              c: list = Field(default_factory=list), *, d: bool, e=compute()): ...
    """
    assert schema(code) == {
        "type": "object",
        "properties": {
            "a": {"type": "string", "description": "A"},
            "b": {"type": "integer", "maximum": 9, "default": 3},
            "c": {"type": "array"},
            "d": {"type": "boolean"},
            "e": {},
        },
        "required": ["a", "d"],
    }


@pytest.mark.parametrize(
    "argument",
    [
        "c: Context",
        "c: fastmcp.Context",
        "c: Context[A, B]",
        "c: 'Context[A, B]'",
        "c: 'fastmcp.Context | None' = None",
        "c: None | Context = None",
        "c: Optional[Context] = None",
        "c: Annotated[Client, Depends(make)]",
        "c=Depends(make)",
        "self",
    ],
)
def test_what_the_framework_hands_in_is_no_argument(argument: str) -> None:
    code = f"""
        @mcp.tool()
        def f({argument}): ...
    """
    assert schema(code)["properties"] == {}


def test_a_model_that_is_named_alike_is_an_argument() -> None:
    code = """
        class SearchRequest(BaseModel):
            q: str
        @mcp.tool()
        def f(request: SearchRequest): ...
    """
    assert schema(code)["properties"]["request"]["required"] == ["q"]


def test_a_class_that_holds_itself_ends() -> None:
    code = """
        class Node(BaseModel):
            left: "Node"
            right: list["Node"]
        @mcp.tool()
        def f(node: Node): ...
    """
    assert schema(code)["properties"]["node"]["type"] == "object"


@pytest.mark.parametrize(
    ("code", "expected"),
    [
        ("import subprocess as sp\nsp.run(x)", ("shell", 2, "subprocess.run")),
        (
            "from subprocess import Popen\nPopen(x, shell=True)",
            ("shell", 2, "subprocess.Popen(shell=True)"),
        ),
        ("import os\n\nos.system('ls')", ("shell", 3, "os.system")),
        ("def f():\n  import os\n  os.popen(x)", ("shell", 3, "os.popen")),
        ("eval(x)", ("eval", 1, "eval")),
        ("from pickle import loads\nloads(x)", ("eval", 2, "pickle.loads")),
        ("with open(p) as f: ...", ("file_system", 1, "open")),
        ("import shutil\nshutil.rmtree(p)", ("file_system", 2, "shutil.rmtree")),
        ("Path(p).write_text(x)", ("file_system", 1, "….write_text")),
        ("import httpx\nhttpx.AsyncClient()", ("network", 2, "httpx.AsyncClient")),
        (
            "import urllib.request\nurllib.request.urlopen(u)",
            ("network", 2, "urllib.request.urlopen"),
        ),
        ("import socket as s\ns.socket()", ("network", 2, "socket.socket")),
    ],
)
def test_what_code_reaches_for_is_told_with_its_line(
    code: str, expected: tuple[str, int, str]
) -> None:
    assert risks(code) == [expected]


@pytest.mark.parametrize(
    "code",
    [
        "import os\nos.path.join(a)\nos.getpid()",
        "file.open()\nself.eval(x)\nre.compile(x)",
        "from .subprocess import run\nrun(x)",
        "import httpx\nraise httpx.ConnectError(x)",
        "'''subprocess.run()'''  # os.system()",
        "def open_all(): ...",
    ],
)
def test_what_is_like_it_is_not_told(code: str) -> None:
    assert risks(code) == []


def test_the_first_place_in_a_file_stands_for_all() -> None:
    assert risks("eval(a)\neval(b)") == [("eval", 1, "eval")]


def test_a_file_that_is_no_python_hides_no_other() -> None:
    found = inspect({"a.py": b"print 'old'", "b.py": b"\xff\0", "c.py": b"eval(x)"})
    assert found.unread == ["a.py", "b.py"]
    assert found.risks == [Risk(kind="eval", file="c.py", line=1, detail="eval")]


@pytest.mark.parametrize(
    "code",
    [
        "-" * 300_000 + "1",
        "a" + ".a" * 100_000,
        "1" + "+1" * 100_000,
        "(" * 100_000,
        "lambda:" * 100_000,
        "x = " + "[" * 199 + "]" * 199,
        "1" * 100_000,
    ],
)
def test_hostile_syntax_is_left_out(code: str) -> None:
    assert inspect({"a.py": code.encode()}).risks == []


def test_names_that_multiply_come_to_an_end() -> None:
    lines = ["a0 = 'text'"]
    lines += [f"a{n + 1} = [{', '.join([f'a{n}'] * 30)}]" for n in range(12)]
    lines += ["@mcp.tool()", "def f(x=a12): ..."]
    assert "f" in tools("\n".join(lines))
