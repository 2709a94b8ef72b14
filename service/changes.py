"""The change feed: what was put or is gone, in the order of the serial.

A reader starts at 0, or at the `X-MCPS-Serial` of a full read, stores what an entry
holds, forgets what is deleted, and asks again with `next`. Entries show what is there
now, so reading one twice does no harm and no state between two is needed.
"""

from service.models_registry import ChangeQuery
from service.registry import Found
from service.store.base import Queries


async def page_changes(store: Queries, query: ChangeQuery) -> Found:
    """Changes after a place in the feed, and where to read on."""
    serial, _, place = query.since.partition(".")
    is_whole = not place
    (row,) = await store.rows(
        "change_page",
        serial=int(serial) + is_whole,
        place=int(place or 0),
        wanted=query.limit,
    )
    following = query.since
    if row["number"]:
        following = f"{row['last_serial']}.{row['last_place']}"
    body = (
        f'{{"changes":[{row["changes"]}],'
        f'"next":"{following}","serial":{row["serial"]}}}'
    )
    return Found(body.encode(), row["serial"])
