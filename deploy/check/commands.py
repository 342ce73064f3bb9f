#!/usr/bin/env python3
"""Holds the commands of `console` blocks to what kubectl itself says that it takes: subcommands and flags.

    commands.py PAGE.md…
"""
import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path


def commands(text):
    """Of lines that begin with `$ kubectl`, each up to its first pipe."""
    for block in re.findall(r"^ *```console\n(.*?)^ *```$", text, re.M | re.S):
        for line in re.findall(r"^ *\$ (.*)$", block.replace("\\\n", " "), re.M):
            for part in line.split(" | "):
                if part.startswith("kubectl "):
                    yield part


@cache
def asked(*words):
    answer = subprocess.run(["kubectl", *words], capture_output=True, text=True, check=False)
    return answer.stdout + answer.stderr


def subcommand(words):
    """As many of the words as name a subcommand that tells its usage."""
    for count in (3, 2, 1):
        name = words[:count]
        if not any(word.startswith("-") for word in name) and f"kubectl {' '.join(name)} " in asked(*name, "--help"):
            return name
    return []


def refused(command):
    words = shlex.split(command)[1:]
    words = words[: words.index("--")] if "--" in words else words
    name = subcommand(words)
    if not name:
        yield f"{command}: kubectl has no such command"
        return
    known = asked(*name, "--help") + asked("options")
    for flag in (word.split("=")[0] for word in words if re.match("--?[a-z]", word)):
        long = flag.startswith("--")
        if not re.search(rf"^ +(?:-\w, )?{flag}=" if long else rf"^ +{flag}, --", known, re.M):
            yield f"{command}: kubectl {' '.join(name)} has no {flag}"


def main():
    # the check itself: it must see what is wrong
    if not list(refused("kubectl rollout pause deployment/x --nonsense")) or not list(refused("kubectl nonsense")):
        print("what kubectl does not know passes", file=sys.stderr)
        return 1
    found = [command for page in sys.argv[1:] for command in commands(Path(page).read_text())]
    wrong = [what for command in found for what in refused(command)]
    for line in wrong:
        print(line, file=sys.stderr)
    print(f"{len(found)} commands")
    return 1 if wrong or not found else 0


if __name__ == "__main__":
    sys.exit(main())
