"""Runs one EasyTier node: TOML in the first line of standard input, then one JSON call a line.

A call is {"call": name, "arguments": [...]}; the answer is one line, {"answer": ...} or {"error": text}.
The node ends with standard input.
"""
import json
import os
import sys

from easytier_pyo3 import Node


def main():
    # Answers keep the pipe to themselves: what EasyTier prints goes where our errors go.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    node = Node(json.loads(sys.stdin.readline()))
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"answer": getattr(node, request["call"])(*request.get("arguments", []))}
        except Exception as error:  # pylint: disable=broad-except
            answer = {"error": f"{type(error).__name__}: {error}"}
        print(json.dumps(answer, default=str), file=answers, flush=True)
    node.stop()


main()
