"""Reads TOML with the standard library, or with its predecessor before Python 3.11."""

try:
    from tomllib import loads as toml
except ModuleNotFoundError:
    from tomli import loads as toml

__all__ = ["toml"]
