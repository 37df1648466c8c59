"""Search engines and pages of the web, for the tools that a server runs (`web_search`, `web_fetch`)."""
