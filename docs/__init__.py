"""The documentation site: its pages, and what is drawn and rendered from code when it is built."""
