"""Where requests go, which source decides that, and which key may go along."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import urlsplit

from engine.options.kinds import printable
from proxy.configuration.layers import Layers
from proxy.configuration.provenance import DEFAULT, Origin, Source, may_be_sent

ENGINE_HERE = "the built-in engine on this machine"


def settle_key(
    layers: Layers,
    backend: str,
    url: str,
    address: Sequence[Source],
    *,
    name: str = "backend_key",
    remedy: str = "",
) -> list[str]:
    """Take the uppermost key that may go to this address; returns a line for each that may not.

    `address` has the source of each part of the address that was named, `name` is the key's setting, and
    `remedy` says what to do where that is no `--base-url`.
    """
    layers.take(name, "", DEFAULT)
    withheld = []
    for key, source in layers.each(name, backend):
        if not key:
            break  # an empty one means none
        if may_be_sent(source, address):
            layers.take(name, key, source)
            break
        named = next(part for part in address if not may_be_sent(source, [part]))
        withheld.append(
            f"{source} is not sent to {public_url(url)}, an address from {named.described}: a key goes only "
            f"where its own source says, or the command line; {remedy or _remedy(source, url)}"
        )
    return withheld


def destination(layers: Layers, backend: str, url: str, address: Sequence[Source], *, passing: bool) -> str:
    """Where requests go, for people; `passing`: without a key the client's own credentials go along."""
    named = ", ".join(part.described for part in address)
    chosen = layers.sources["backend_name"].described
    origin = f"from {named}" if named else f"the usual address of {backend}, chosen by {chosen}"
    if layers.values.get("backend_key"):
        key = f", with the key from {layers.sources['backend_key'].described}"
    else:
        key = ", with the client's own credentials" if passing else ", without a key"
    return f"{public_url(url)} ({origin}){key}"


def public_url(url: str) -> str:
    """An address for people: without a password that is in it, and with nothing that a terminal obeys."""
    return printable(without_password(url), 300)


def without_password(url: str) -> str:
    """An address without the name and the password that are in it."""
    try:
        parts = urlsplit(url)
    except ValueError:
        return url
    if "@" in parts.netloc:
        return parts._replace(netloc="***@" + parts.netloc.rpartition("@")[2]).geturl()
    return url


def _remedy(key: Source, url: str) -> str:
    here = f"give --base-url {public_url(url)}"
    match key.origin:
        case Origin.ENVIRONMENT:
            return f"set ANYCLAUDE_BASE_URL beside it, or {here}"
        case _:
            return f"name the address beside it, or {here}"
