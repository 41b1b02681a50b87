"""Addresses of stores and servers, as they may be shown."""

from __future__ import annotations


def hide_credentials(uri: str) -> str:
    """An address without its user and password, which do not belong on screens and in files."""
    scheme, separator, rest = uri.partition("://")
    if not separator:
        return uri
    host, slash, path = rest.partition("/")
    return scheme + separator + host.rpartition("@")[2] + slash + path
