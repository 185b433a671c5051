import pytest
import tiktoken

from soft_labels.encoders.hosted import Text
from soft_labels.encoders.openai.tokens import Limits, Tokens, TooLong, pack, tokenizer_of
from soft_labels.errors import EncoderError


@pytest.fixture(scope="module")
def tokenizer() -> tiktoken.Encoding:
    """Bytes, and a few words: a byte-level tokenizer as OpenAI's are, made here."""
    words = [b"th", b"the", b" the", b"an", b"and"]
    ranks = {bytes([byte]): byte for byte in range(256)} | {word: 256 + rank for rank, word in enumerate(words)}
    return tiktoken.Encoding("tiny", pat_str=r" ?\w+| ?\W", mergeable_ranks=ranks, special_tokens={})


def fit(text: str, limit: int, too_long: TooLong, tokenizer: tiktoken.Encoding | None) -> Text:
    return Limits(limit, 100, 1_000, too_long).fit(b"key", "item-7", text, Tokens(tokenizer))


def test_tokens_are_counted_with_the_tokenizer_where_there_is_one(tokenizer: tiktoken.Encoding) -> None:
    assert Tokens(tokenizer).count("the the") == 2
    assert Tokens(tokenizer).count("thé") == 3
    assert Tokens(tokenizer).described == "counted with tiny"


def test_bytes_are_an_upper_bound_of_tokens(tokenizer: tiktoken.Encoding) -> None:
    for text in ("the and", "naïve 日本語", "🙂", "a\n\n the", "x" * 99):
        assert Tokens(tokenizer).count(text) <= Tokens(None).count(text) == len(text.encode())
    assert "UTF-8 bytes" in Tokens(None).described


def test_a_model_that_is_not_openais_has_no_tokenizer() -> None:
    assert tokenizer_of("e5-query") is None


@pytest.mark.parametrize("error", [ConnectionError("no network"), ValueError("hash mismatch")])
def test_a_tokenizer_that_cannot_be_fetched_is_said_to_be_missing(
    error: Exception, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fetch(_: str) -> tiktoken.Encoding:
        raise error

    monkeypatch.setattr(tiktoken, "encoding_for_model", fetch)
    assert tokenizer_of("text-embedding-3-large") is None
    assert "the tokenizer of text-embedding-3-large cannot be fetched" in caplog.text


def test_an_input_is_refused_only_beyond_the_limit(tokenizer: tiktoken.Encoding) -> None:
    assert fit("the the the", 3, "error", tokenizer).parts == ("the the the",)
    with pytest.raises(EncoderError, match=r"item-7: wanted at most 2 tokens, got 3 \(counted with tiny\)"):
        fit("the the the", 2, "error", tokenizer)


def test_truncation_keeps_the_start_and_cuts_no_character(tokenizer: tiktoken.Encoding) -> None:
    assert fit("the the the", 2, "truncate", tokenizer).parts == ("the the",)
    cut = fit("ab🙂cd", 4, "truncate", tokenizer)
    assert (cut.parts, cut.tokens) == (("ab",), (2,))
    assert fit("the the", 2, "truncate", tokenizer).parts == ("the the",)


@pytest.mark.parametrize("text", ["the and the and", "日本語🙂 the 🙂🙂", "theand" * 9, " " * 30])
def test_parts_are_within_the_limit_and_make_up_the_text(text: str, tokenizer: tiktoken.Encoding) -> None:
    for limit in (4, 5, 7):
        split = fit(text, limit, "average", tokenizer)
        assert "".join(split.parts) == text
        assert split.tokens == tuple(Tokens(tokenizer).count(part) for part in split.parts)
        assert max(split.tokens) <= limit


def test_a_text_is_not_cut_by_guess() -> None:
    with pytest.raises(EncoderError, match="needs the model's tokenizer"):
        fit("the the the", 4, "truncate", None)


def named(*sizes: int) -> list[Text]:
    return [Text(b"", f"item-{number}", ("x",), (size,)) for number, size in enumerate(sizes)]


def packed(texts: list[Text], inputs: int, tokens: int) -> list[list[str]]:
    packs = pack(texts, inputs, tokens, lambda text: sum(text.tokens))
    return [[text.uid.removeprefix("item-") for text in each] for each in packs]


def test_packs_hold_all_texts_in_order_within_both_limits() -> None:
    assert packed(named(1, 1, 1, 1, 1), 2, 99) == [["0", "1"], ["2", "3"], ["4"]]
    assert packed(named(5, 5, 1, 9, 1), 9, 10) == [["0", "1"], ["2", "3"], ["4"]]
    assert packed([], 2, 10) == []


def test_the_parts_of_one_text_stay_together() -> None:
    long = Text(b"", "item-9", ("a", "b", "c"), (3, 3, 1))
    assert packed([*named(1, 1), long, *named(1)], 4, 99) == [["0", "1"], ["9", "0"]]
    with pytest.raises(EncoderError, match="item-9: 3 parts of size 7 are more than the 2 and 99"):
        packed([long], 2, 99)
    with pytest.raises(EncoderError, match="item-9: 3 parts of size 7 are more than the 3 and 6"):
        packed([long], 3, 6)
