"""Encoders behind OpenAI's embeddings protocol."""
