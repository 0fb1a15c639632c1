"""Writes the few shapes of TOML that the tests need."""
import json


def _value(value):
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, (int, float)):
        return str(value)
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{_key(key)} = {_value(item)}" for key, item in value.items()) + " }"
    if isinstance(value, (list, tuple)):
        return "[" + ", ".join(_value(item) for item in value) + "]"
    return json.dumps(str(value))  # TOML's basic strings escape as JSON's do


def _key(key):
    return key if key.replace("_", "").replace("-", "").isalnum() else json.dumps(key)


def toml_text(table):
    """Values first, then tables as inline ones, so that order and nesting need no care."""
    return "".join(f"{_key(key)} = {_value(value)}\n" for key, value in table.items())
