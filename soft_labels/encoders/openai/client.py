"""The official client, kept from telling one service what the environment holds for another."""

import openai


class ForeignClient(openai.AsyncOpenAI):
    """A client for a service that is not OpenAI.

    The official client adds ``OPENAI_ORG_ID``, ``OPENAI_PROJECT_ID`` and all of ``OPENAI_CUSTOM_HEADERS`` to every
    request, wherever it goes. This one sends none of them: of its arguments, only ``api_key`` travels in a header.

    Source: ``default_headers`` of ``openai.AsyncOpenAI``, which merges what the environment holds.
    """

    @property
    def default_headers(self) -> dict[str, str | openai.Omit]:
        """What every request carries beside its key; a request's own headers come on top."""
        return {"Accept": "application/json", "Content-Type": "application/json", "User-Agent": self.user_agent}
