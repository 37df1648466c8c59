"""The control center without a host: it shows a recording."""
