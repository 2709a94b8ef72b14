"""How a search is cut into words, and what a mistyped word may have meant."""

import string
import time

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.search_words import Asked, Near, cut, distance, edits, likeliest

WORDS = st.text(string.ascii_lowercase, min_size=3, max_size=9)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("postgres database", ["postgres", "database"]),
        ("send-email_now", ["send", "email"]),
        ("foo & | ! ( ) :* <-> 'bar\" \\", ["foo", "bar"]),
        ("C++ node.js v1.2", ["C", "node", "js", "v1", "2"]),
        ("naïve café—O’Brien", ["naïve", "café", "O", "Brien"]),
        ("ツール 日本語 हिन्दी עברית", ["ツール", "日本語", "हिन्दी", "עברית"]),
        ("weather for the mcp servers", ["weather"]),
        ("MCP Server weather", ["weather"]),
        ("cafe\u0301", ["caf\u00e9"]),
        ("weather ☀ in 5€ 😀", ["weather", "5€"]),
    ],
)
def test_every_word_that_tells_something_is_looked_for(
    text: str, words: list[str]
) -> None:
    asked = cut(text)
    assert list(asked.words) == words
    assert asked.is_ranked
    assert asked.pattern is None


@pytest.mark.parametrize("text", ["mcp", "MCP server", "the mcp servers for"])
def test_idle_words_count_where_nothing_else_is_left(text: str) -> None:
    asked = cut(text)
    assert {word.lower() for word in asked.words} <= {"mcp", "server", "servers"}
    assert asked
    assert not asked.is_ranked


@pytest.mark.parametrize("text", ["the", "for and of", "...", "/", "// :* /", "☀ ✓"])
def test_a_text_without_a_telling_word_asks_for_nothing(text: str) -> None:
    assert not cut(text)


@pytest.mark.parametrize(
    ("text", "words", "path"),
    [
        ("io.github.Foo/", [], "io.github.foo/"),
        ("io.github.foo/bar weather", ["weather"], "io.github.foo/bar"),
        ("weather io.github.foo/ b/c", ["weather", "b", "c"], "io.github.foo/"),
        ("https://www.github.com/Foo/bar.git/", [], "github.com/foo/bar"),
        ("https://github.com/foo/bar.git", [], "github.com/foo/bar"),
        ("https://example.org", [], "example.org"),
        ("https:// weather", ["https", "weather"], ""),
    ],
)
def test_a_word_with_a_slash_is_a_path(text: str, words: list[str], path: str) -> None:
    asked = cut(text)
    assert list(asked.words) == words
    assert asked.path == path


def test_a_path_can_be_taken_as_words() -> None:
    assert cut("ci/cd", with_path=False) == Asked(("ci", "cd"))


def test_wildcards_of_a_path_are_letters_like_others() -> None:
    assert cut("a_b/100%\\c").pattern == "%a\\_b/100\\%\\\\c%"


@pytest.mark.parametrize(
    ("word", "ways"),
    [
        ("github", ["github"]),
        ("GitHub", ["GitHub", "Git Hub"]),
        ("GoogleCalendarAPI", ["GoogleCalendarAPI", "Google Calendar API"]),
        ("AWSLambda", ["AWSLambda", "AWS Lambda"]),
        ("API", ["API"]),
        ("S3Bucket", ["S3Bucket", "S3 Bucket"]),
    ],
)
def test_a_word_is_looked_for_whole_and_cut_at_capitals(
    word: str, ways: list[str]
) -> None:
    assert msgspec.json.decode(cut(word).words_json) == [ways]


@given(st.text(max_size=256))
def test_no_operator_is_left_of_any_text(text: str) -> None:
    for word in cut(text).words:
        assert word
        assert not set(word) & set(string.punctuation + string.whitespace)


@given(WORDS)
def test_the_edits_of_a_word_are_all_texts_one_step_away(word: str) -> None:
    found = edits(word)
    assert word not in found
    assert len(found) == len(set(found))
    assert {distance(word, other) for other in found} == {1}
    assert set(found) >= {word[:i] + word[i + 1 :] for i in range(len(word))} - {word}
    swapped = word[1] + word[0] + word[2:]
    assert swapped in found or swapped == word


@pytest.mark.parametrize("word", ["", "ab", "x" * 21])
def test_a_word_too_short_or_too_long_has_no_edits(word: str) -> None:
    assert edits(word) == []


@given(WORDS, WORDS)
def test_a_distance_is_the_same_both_ways_and_at_most_the_longer_word(
    one: str, other: str
) -> None:
    steps = distance(one, other)
    assert steps == distance(other, one)
    assert (steps == 0) == (one == other)
    assert abs(len(one) - len(other)) <= steps <= max(len(one), len(other))


@pytest.mark.parametrize(
    ("one", "other", "steps"),
    [
        ("slcak", "slack", 1),
        ("kuberentes", "kubernetes", 1),
        ("finnancial", "financial", 1),
        ("wether", "weather", 1),
        ("calender", "calendar", 1),
        ("gihtbu", "github", 2),
        ("", "abc", 3),
    ],
)
def test_swapped_letters_are_one_step(one: str, other: str, steps: int) -> None:
    assert distance(one, other) == steps


@pytest.mark.parametrize(
    ("word", "candidates", "meant"),
    [
        ("slcak", {"slack": 5, "black": 9, "slick": 9}, "slack"),
        ("postgers", {"postgres": 20, "posters": 3, "posts": 9}, "postgres"),
        ("databse", {"data": 300, "database": 80}, "database"),
        ("postg", {"posts": 8, "postgres": 10, "postgresql": 4}, "postgres"),
        ("wether", {"weather": 12, "whether": 2, "ether": 3}, "weather"),
        ("githbu", {"github": 40, "gitlab": 30}, "github"),
        ("mangemnet", {"management": 50, "mango": 60}, "management"),
        ("qwrtz", {"quartz": 0}, "quartz"),
        ("zzzzz", {"weather": 1000}, None),
        ("word", {}, None),
    ],
)
def test_the_likeliest_word_is_near_and_often_used(
    word: str, candidates: dict[str, int], meant: str | None
) -> None:
    near = [Near(other, uses) for other, uses in candidates.items()]
    assert likeliest(word, near) == meant
    assert likeliest(word, reversed(near)) == meant


def test_the_longest_word_is_mended_in_no_time() -> None:
    word = "authenticationserver"
    near = [Near(other, 1) for other in edits(word)[:40]]
    began_at = time.perf_counter()
    assert likeliest(word, near)
    assert time.perf_counter() - began_at < 0.1
