"""Built manifests, judged: each check says what is wrong, and must notice each fault that is made on purpose."""
import copy
import sys
from pathlib import Path

import yaml


def judge(files, faults, broken):
    """`faults` yields what is wrong with documents; `broken` lists changes, each with what must be said of it then."""
    built = {file: [one for one in yaml.safe_load_all(Path(file).read_text()) if one] for file in files}
    wrong = [f"{file}: {what}" for file, documents in built.items() for what in faults(documents)]
    for line in wrong:
        print(line, file=sys.stderr)
    if wrong:
        return 1
    for change, said in broken:
        noticed = []
        for documents in built.values():
            documents = copy.deepcopy(documents)
            change(documents)
            noticed += [what for what in faults(documents) if said in what]
        if not noticed:
            print(f"a fault of which should be said {said!r} passes", file=sys.stderr)
            return 1
    print(f"{len(built)} files, {len(broken)} faults that are noticed")
    return 0


def every(kind, change):
    return lambda documents: [change(one) for one in documents if one["kind"] == kind]
