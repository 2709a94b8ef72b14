"""Repositories on GitHub, in as few calls as its limits make sensible.

Without a token (60 calls an hour): the repository, its root folder, releases and
contributors by REST, and files by the links of the folder, which count for nothing. An
unchanged repository costs nothing. With GITHUB_TOKEN (5000): one GraphQL call, and one
REST call for the contributors, which GraphQL does not have.
"""

import re
from collections.abc import AsyncIterator, Mapping
from urllib.parse import quote, urlsplit

import msgspec
from msgspec import UNSET, UnsetType

from service.errors import SourceFailed
from service.models_harvest import (
    Checkpoint,
    FoundContributor,
    FoundDependency,
    Harvest,
    Order,
    Page,
    Risk,
    SourceName,
)
from service.settings import Settings
from service.sources import clean
from service.sources.clean import Object, mapping
from service.sources.fetch import Fetcher
from service.sources.github_answers import (
    FILES,
    QUERY,
    Repository,
    by_graphql,
    by_rest,
    contributors_of,
)
from service.sources.package_json import FILE as PACKAGE
from service.sources.package_json import dependencies as npm_dependencies
from service.sources.package_json import package_risks, read_json
from service.sources.python_metadata import (
    PROJECT,
    project_requirements,
    project_table,
)
from service.sources.python_metadata import dependencies as python_dependencies
from service.sources.requests import Answer, read_object
from service.sources.weights import numbers

SERVER_JSON = "server.json"
FILE_BYTES = 1 << 20
# Beyond its first hundred, GitHub wants a call for each hundred.
PER_PAGE = 100
_NAME = re.compile(r"[A-Za-z0-9](?:[A-Za-z0-9-]{0,38})/[A-Za-z0-9._-]{1,100}")
_SERVER_NAMESPACE = "io.github."


class GithubSource:
    """Reads repositories."""

    name: SourceName = "github"

    def __init__(self, fetcher: Fetcher, settings: Settings) -> None:
        self._fetcher = fetcher
        self._base = settings.github_api_url.rstrip("/")
        self._token = settings.github_token

    def target_of(self, text: str) -> str | None:
        """`owner/repo`, in lower case, of that, `github:owner/repo`, or a URL."""
        name = text.strip().removeprefix("github:")
        if "://" in name or name.startswith("git@"):
            place = clean.repository_url(name) or ""
            parts = urlsplit(place)
            if parts.netloc != "github.com":
                return None
            name = "/".join(parts.path.strip("/").split("/")[:2])
        name = name.removesuffix(".git")
        is_dots = name.rpartition("/")[2] in {".", ".."}
        return name.lower() if _NAME.fullmatch(name) and not is_dots else None

    async def harvest(self, order: Order) -> AsyncIterator[Page]:
        """One page; none when the repository is unchanged."""
        if self._token:
            yield _page(await self._by_graphql(order.target), UNSET)
            return
        url = f"{self._base}/repos/{order.target}"
        answer = await self._get(url, order.checkpoint)
        if answer.is_unchanged:
            return
        repository = await self._by_rest(url, read_object(answer))
        yield _page(repository, dict(answer.validators))

    async def _by_rest(self, url: str, document: Object) -> Repository:
        folder = await self._get(f"{url}/contents/", may_be=(404,))
        releases = await self._get(f"{url}/releases?per_page={PER_PAGE}")
        files = await self._files(folder.json(object))
        told = by_rest(url, document, releases.json(object), files)
        contributors = await self._contributors(told.full_name)
        return msgspec.structs.replace(told, contributors=contributors)

    async def _files(self, folder: object) -> dict[str, str]:
        """The files that matter, by their names as FILES has them."""
        found = {}
        for item in folder if isinstance(folder, list) else []:
            name = FILES.get(str(mapping(item).get("name")).lower())
            url = clean.web_url(mapping(item).get("download_url"))
            size = mapping(item).get("size")
            is_short = isinstance(size, int) and size <= FILE_BYTES
            if name is not None and url is not None and is_short and name not in found:
                limits = msgspec.structs.replace(
                    self._fetcher.options.limits, body_bytes=FILE_BYTES
                )
                answer = await self._fetcher.get(url, limits=limits, may_be=(404,))
                if answer.status == 200:
                    found[name] = answer.text()
        return found

    async def _by_graphql(self, target: str) -> Repository:
        owner, _, name = target.partition("/")
        url = f"{self._base.removesuffix('/v3')}/graphql"
        body = {"query": QUERY, "variables": {"owner": owner, "name": name}}
        text = msgspec.json.encode(body)
        answer = await self._fetcher.post(url, text, headers=self._headers())
        told = by_graphql(answer.url, read_object(answer))
        contributors = await self._contributors(told.full_name)
        return msgspec.structs.replace(told, contributors=contributors)

    async def _contributors(self, full_name: str) -> list[FoundContributor] | UnsetType:
        """Who worked on it, most commits first; UNSET where GitHub does not count."""
        path = quote(full_name, safe="/")
        url = f"{self._base}/repos/{path}/contributors?per_page={PER_PAGE}"
        try:
            answer = await self._get(url)
        except SourceFailed as error:
            # 403 without a limit: the history is too large to be counted.
            if error.reason != "unauthorized":
                raise
            return UNSET
        return contributors_of(answer.json(object) if answer.body else [])

    async def _get(
        self,
        url: str,
        validators: Mapping[str, str] | None = None,
        may_be: tuple[int, ...] = (),
    ) -> Answer:
        return await self._fetcher.get(
            url, headers=self._headers(), validators=validators, may_be=may_be
        )

    def _headers(self) -> dict[str, str]:
        sent = {
            "Accept": "application/vnd.github+json",
            "X-GitHub-Api-Version": "2022-11-28",
        }
        if self._token:
            sent["Authorization"] = f"Bearer {self._token}"
        return sent


def _page(repository: Repository, checkpoint: Checkpoint | UnsetType) -> Page:
    """What the repository says, with its server.json where that is its own."""
    text = repository.files.get(SERVER_JSON, "").encode()
    document = read_json(text)
    package = read_json(repository.files.get(PACKAGE, "").encode())
    named = clean.registry_name(document.get("name"))
    claimed = named or clean.registry_name(package.get("mcpName"))
    is_own = _owns(repository.full_name.partition("/")[0], claimed)
    is_entry = is_own and named is not None and "version" in document
    found, risks = _needs(repository, package)
    harvest = Harvest(
        primary_url=repository.url,
        registry_name=claimed if is_own else None,
        fields=repository.fields,
        releases=repository.releases,
        contributors=repository.contributors,
        dependencies=found or UNSET,
        risks=risks or UNSET,
    )
    return Page(
        harvests=[harvest], entries=[text] if is_entry else [], checkpoint=checkpoint
    )


def _owns(owner: str, claimed: str | None) -> bool:
    """Whether a name belongs to the owner of the repository, as its namespace says."""
    namespace = (claimed or "").partition("/")[0].lower()
    return namespace == _SERVER_NAMESPACE + owner.lower()


def _needs(
    repository: Repository, own: Object
) -> tuple[list[FoundDependency], list[Risk]]:
    """Dependencies of package.json or else of pyproject.toml, and what shows risk."""
    if own:
        files = {PACKAGE: repository.files[PACKAGE].encode()}
        found = npm_dependencies(own)
        return found, list(package_risks(own, files, numbers(found)))
    project = project_table(repository.files.get(PROJECT, "").encode())
    return python_dependencies(project_requirements(project)), []
