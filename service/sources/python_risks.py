"""What the code of a Python package reaches for: shell, files, network, eval.

Names are followed through imports, so `import subprocess as sp; sp.run(…)` is seen.
It says what the code could do, not that it does harm; and code that hides its names
is not seen through: a fact that is missing proves nothing.
"""

import ast
from collections.abc import Iterator

from service.models_harvest import Risk, RiskKind
from service.sources.python_names import Module, keywords

_CALLS: dict[str, RiskKind] = {
    **dict.fromkeys(
        (
            *("os.system", "os.popen", "os.startfile", "pty.spawn", "pexpect.spawn"),
            *("os.execv", "os.execve", "os.execvp", "os.execl", "os.execlp"),
            *("os.spawnl", "os.spawnv", "os.spawnvp", "os.posix_spawn"),
            *("asyncio.create_subprocess_exec", "asyncio.create_subprocess_shell"),
            *("anyio.run_process", "anyio.open_process", "trio.run_process"),
        ),
        "shell",
    ),
    **dict.fromkeys(
        (
            *("open", "io.open", "os.open", "os.remove", "os.unlink", "os.rename"),
            *("os.replace", "os.rmdir", "os.removedirs", "os.mkdir", "os.makedirs"),
            *("os.chmod", "os.chown", "os.symlink", "os.link", "os.walk", "os.listdir"),
            *("os.scandir", "os.truncate", "aiofiles.open", "anyio.open_file"),
        ),
        "file_system",
    ),
    **dict.fromkeys(
        (
            *("eval", "exec", "compile", "builtins.eval", "builtins.exec"),
            *("pickle.loads", "pickle.load", "marshal.loads", "dill.loads"),
            *("runpy.run_path", "runpy.run_module", "code.interact"),
            *("yaml.unsafe_load", "cloudpickle.loads", "joblib.load"),
        ),
        "eval",
    ),
    **dict.fromkeys(
        (
            *("urllib.request.urlopen", "urllib.request.urlretrieve"),
            *("urllib.request.Request", "http.client.HTTPConnection"),
            *("http.client.HTTPSConnection", "asyncio.open_connection"),
            *("asyncio.start_server", "smtplib.SMTP", "smtplib.SMTP_SSL"),
            *("ftplib.FTP", "telnetlib.Telnet", "imaplib.IMAP4_SSL"),
        ),
        "network",
    ),
}
# Every call of something in these.
_LIBRARIES: dict[str, RiskKind] = {
    **dict.fromkeys(("subprocess", "sh", "plumbum", "paramiko", "fabric"), "shell"),
    "shutil": "file_system",
    **dict.fromkeys(
        (
            *(
                "requests",
                "httpx",
                "aiohttp",
                "urllib3",
                "niquests",
                "socket",
                "curl_cffi",
            ),
            *("websockets", "websocket", "httplib2", "pycurl", "grpc"),
        ),
        "network",
    ),
}
# Names of exceptions and types are no use of a library.
_NO_CALL = ("Error", "Exception", "Timeout", "Limits")
_PATH_METHODS = {
    *("write_text", "write_bytes", "read_text", "read_bytes", "unlink", "rmtree"),
    *("iterdir", "rglob"),
}


def find_python_risks(module: Module) -> Iterator[Risk]:
    """The first place of each thing that the module reaches for."""
    seen: set[str] = set()
    for node in module.nodes:
        if not isinstance(node, ast.Call):
            continue
        told = _told(module, node)
        if told is not None and told[1] not in seen:
            seen.add(told[1])
            yield Risk(kind=told[0], file=module.path, line=node.lineno, detail=told[1])


def _told(module: Module, call: ast.Call) -> tuple[RiskKind, str] | None:
    """Kind and words of what a call reaches for."""
    name = module.dotted(call.func)
    if name.startswith("."):
        return None
    kind = _CALLS.get(name) or _LIBRARIES.get(name.partition(".")[0])
    if kind and "." not in name and name not in _CALLS:
        kind = None
    if kind and not name.endswith(_NO_CALL):
        return kind, name + (_SHELL if _is_shell(module, call) else "")
    method = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    if method in _PATH_METHODS:
        return "file_system", f"….{method}"
    return None


_SHELL = "(shell=True)"


def _is_shell(module: Module, call: ast.Call) -> bool:
    node = keywords(call).get("shell")
    return node is not None and module.value(node) is True
