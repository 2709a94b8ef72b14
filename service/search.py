"""Search by words: ranked, and mended where a mistyped word finds nothing.

One query answers a search that finds something. Otherwise a path is looked for as
words (`ci/cd` is none), and each word that nothing holds is replaced by the one of the
catalog that was most likely meant; an answer found so says what was searched for.
"""

import msgspec

from service.search_words import Asked, Near, cut, edits, likeliest
from service.store.base import Queries, Row

NOTHING = '{"servers":[],"tools":[],"total":0}'
# More words that nothing holds are not typing errors any more.
MOST_MENDED = 4


async def search(store: Queries, text: str, limit: int) -> str:
    """Servers and tools that match a text, as the JSON of a SearchAnswer."""
    asked = cut(text)
    page = await _page(store, asked, limit)
    if page and page["matches"]:
        return str(page["body"])
    if asked.path:
        page = await _page(store, cut(text, with_path=False), limit)
        return str(page["body"]) if page else NOTHING
    mended = await mend(store, asked)
    page = await _page(store, mended, limit) if mended else None
    if mended is None or page is None or not page["matches"]:
        return NOTHING
    corrected = msgspec.json.encode(" ".join(mended.words)).decode()
    return f'{page["body"][:-1]},"corrected":{corrected}}}'


async def mend(store: Queries, asked: Asked) -> Asked | None:
    """A search that finds nothing, with likelier words; None where there are none."""
    if not asked:
        return None
    rows = await store.rows("search_word_unknown", words=asked.words_json)
    unknown = {row["word"] for row in rows}
    if not 0 < len(unknown) <= MOST_MENDED:
        return None
    meant = {word: await _meant(store, word.lower()) for word in unknown}
    if None in meant.values():
        return None
    words = tuple(meant.get(word) or word for word in asked.words)
    return msgspec.structs.replace(asked, words=words)


async def recount_words(store: Queries) -> None:
    """Count how often each word of the catalog occurs; after large changes."""
    await store.run("search_word_recount")


async def _page(store: Queries, asked: Asked, limit: int) -> Row | None:
    if not asked:
        return None
    return await store.row(
        "search_page",
        words=asked.words_json,
        pattern=asked.pattern,
        is_ranked=asked.is_ranked,
        wanted=limit,
    )


async def _meant(store: Queries, word: str) -> str | None:
    steps = msgspec.json.encode(edits(word)).decode()
    rows = await store.rows("search_word_near", word=word, edits=steps)
    return likeliest(word, [Near(row["word"], row["uses"]) for row in rows])
