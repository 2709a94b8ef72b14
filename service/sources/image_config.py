"""What the configuration of an image says: labels, environment, what it starts."""

import re

import msgspec

from service.models_harvest import Fields
from service.sources import clean
from service.sources.clean import Object, mapping

SERVER_NAME = "io.modelcontextprotocol.server.name"
_OCI = "org.opencontainers.image."
_SCHEMA = "org.label-schema."
MOST_VARIABLES = 100
_SECRET = re.compile(r"PASS|SECRET|TOKEN|KEY|CREDENTIAL|AUTH", re.IGNORECASE)
# The registry whose owners are those of the names that begin with io.github.
_REGISTRY, _NAMESPACE = "ghcr", "io.github."


def labels_of(config: Object) -> dict[str, str]:
    """The labels of an image."""
    told = mapping(mapping(config.get("config")).get("Labels"))
    return {
        clean.plain(key): clean.plain(value)
        for key, value in told.items()
        if isinstance(value, str)
    }


def variables_of(config: Object) -> dict[str, str]:
    """The environment that an image sets, without the search path."""
    told = mapping(config.get("config")).get("Env")
    pairs = (
        str(item).partition("=") for item in (told if isinstance(told, list) else [])
    )
    found = {
        clean.plain(name)[: clean.LONGEST_WORD]: clean.plain(value)
        for name, _, value in pairs
        if name and name != "PATH"
    }
    return dict([*found.items()][:MOST_VARIABLES])


def server_name_of(config: Object) -> str | None:
    """The server that an image says it is."""
    return clean.registry_name(labels_of(config).get(SERVER_NAME))


def source_of(config: Object) -> str | None:
    """The repository that an image says it was built from."""
    return clean.repository_url(_label(config, "source", "vcs-url"))


def fields_of(config: Object, path: str) -> Fields:
    """The columns of a server that the labels fill."""
    place = source_of(config)
    homepage = clean.web_url(_label(config, "url") or _label(config, "documentation"))
    return Fields(
        name=path.rpartition("/")[2],
        title=clean.known(clean.label(_label(config, "title", "name"))),
        host_type=clean.host_type(place, "docker"),
        description=clean.known(clean.text(_label(config, "description"))),
        author_name=clean.known(clean.label(_label(config, "vendor", "vendor"))),
        homepage=clean.known(homepage),
        license=clean.known(clean.label(_label(config, "licenses", "license"))),
    )


def entry_of(config: Object, target: str) -> bytes | None:
    """A server.json that says how to run the image, with its environment.

    Only for an image that names its server, in a namespace that its owner has: anybody
    may write any name into a label. Values that may be secret are left out.
    """
    name = server_name_of(config)
    host, _, path = target.partition("/")
    owner = path.partition("/")[0]
    is_own = (name or "").lower().startswith(f"{_NAMESPACE}{owner}/")
    version = clean.label(_label(config, "version")) or path.rpartition(":")[2]
    if name is None or not is_own or _REGISTRY not in host.split("."):
        return None
    if version == "latest" or "@" in path:
        return None
    place = source_of(config)
    told = clean.text(_label(config, "description"), 100) or name
    server = {
        "name": name,
        "description": told,
        "version": version.removeprefix("v"),
        **({"repository": {"url": place, "source": "github"}} if place else {}),
        "packages": [
            {
                "registryType": "oci",
                "identifier": target,
                "transport": {"type": "stdio"},
                "environmentVariables": _variables(config),
            }
        ],
    }
    created_at = clean.time(config.get("created"))
    official = {"publishedAt": created_at} if created_at else {}
    meta = {"io.modelcontextprotocol.registry/official": official}
    return msgspec.json.encode({"server": server, "_meta": meta})


def _variables(config: Object) -> list[Object]:
    return [
        {"name": name, "isSecret": True}
        if _SECRET.search(name)
        else {"name": name, "default": value[: clean.LONGEST_LABEL]}
        for name, value in variables_of(config).items()
    ]


def _label(config: Object, name: str, old_name: str = "") -> str | None:
    """A label of the OCI's names, or of those that were in use before."""
    labels = labels_of(config)
    return labels.get(_OCI + name) or labels.get(_SCHEMA + (old_name or name))
