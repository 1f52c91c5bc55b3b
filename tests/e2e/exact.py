"""Compares files of a mount with what the server said: exact.py WORK MOUNT [--only FORMAT,...]. exact.bash filled WORK.

WORK/list.json    [{"i", "folder", "name", "lists": {column: vector|halfvec|sparsevec}}]
WORK/I.csv .tsv .bin  the server's COPY
WORK/I.jsonl      row_to_json of every row, with a NUL byte behind each
WORK/stderr       `: I.FORMAT` before the errors of the statement for it
"""
import json
import os
import re
import sys


class Number(str):
    """A number as it was written: 1.0 is not 1."""


def parse(text):
    return json.loads(text, parse_int=Number, parse_float=Number, parse_constant=None, object_pairs_hook=Pairs)


class Pairs(list):
    """An object's members in their order, double keys kept."""


def as_list(kind, text):
    if text is None or not isinstance(text, str):
        return text
    if kind != "sparsevec":
        return parse(text)
    body, dim = re.fullmatch(r"\{(.*)\}/(\d+)", text).groups()
    pairs = [p.split(":") for p in body.split(",")] if body else []
    return Pairs([("dim", Number(dim)), ("indices", [Number(i) for i, _ in pairs]),
                  ("values", [Number(v) for _, v in pairs])])


def same(a, b):
    if type(a) is not type(b):
        return False
    if isinstance(a, (list, tuple)):
        return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b))
    return a == b


def compare_json(got, reference, lists):
    rows = reference.split(b"\0")
    if rows.pop() != b"":
        return "the reference is cut"
    lines = got.split(b"\n")
    if lines.pop() != b"":
        return "the last line has no end"
    if b"\r" in got:
        return "a carriage return"
    if len(lines) != len(rows):
        return f"{len(lines)} lines for {len(rows)} rows"
    for n, (line, row) in enumerate(zip(lines, rows), 1):
        if line == row and not lists and len(line) > 1 << 20:
            continue  # parsing tens of megabytes takes long
        try:
            value = parse(line)
        except ValueError as e:
            return f"line {n} is no JSON: {e}: {line[:300]!r}"
        want = Pairs((k, as_list(lists[k], v) if k in lists else v) for k, v in parse(row))
        if not same(value, want):
            for a, b in zip(value, want):
                if not same(a, b):
                    return f"line {n}: {str(a)[:300]} for {str(b)[:300]}"
            return f"line {n}: {len(value)} keys for {len(want)}"
    return None


def compare_bytes(got, want):
    if got == want:
        return None
    at = next((i for i, (a, b) in enumerate(zip(got, want)) if a != b), min(len(got), len(want)))
    return f"{len(got)} bytes for {len(want)}; from {at}: {got[at:at + 60]!r} for {want[at:at + 60]!r}"


def read_refusals(work):
    """{I.FORMAT: the server's first error}."""
    refusals, at = {}, None
    with open(f"{work}/stderr", encoding="utf-8") as f:
        for line in f:
            if line.startswith(": "):
                at = line[2:].strip()
            elif "ERROR:  " in line:
                refusals.setdefault(at, line.split("ERROR:  ", 1)[1].strip())
    return refusals


def read_all(path):
    """An open may read along with a fetch of which it is not known yet that it fails."""
    with open(path, "rb") as f:
        while f.read(1 << 20):
            pass


def compare(work, mount, entry, form, refusals):
    name = entry["folder"].rsplit("/", 1)[1]
    path = f"{mount}/{entry['folder']}/{name}.{form}"
    reference = f"{work}/{entry['i']}.{form}"
    words = refusals.get(f"{entry['i']}.{form}")
    if words is not None:
        for what in (os.stat, read_all):
            try:
                what(path)
                return f"{what.__name__} works, but the server says: {words}"
            except OSError:
                pass
        said = os.getxattr(path, "user.pgvecfs.error").decode()
        return None if words in said else f"says {said!r}, but the server: {words!r}"
    try:
        size = os.stat(path).st_size
        with open(path, "rb") as f:
            got = f.read()
    except OSError as e:
        try:
            said = os.getxattr(path, "user.pgvecfs.error").decode()
        except OSError as no:
            said = no
        return f"{e} ({said})"
    if size != len(got) or os.stat(path).st_size != size:
        return f"st_size {size}, {len(got)} bytes read"
    with open(reference, "rb") as f:
        want = f.read()
    return compare_json(got, want, entry["lists"] or {}) if form == "jsonl" else compare_bytes(got, want)


def main():
    work, mount = sys.argv[1:3]
    forms = sys.argv[4].split(",") if sys.argv[3:4] == ["--only"] else ["csv", "tsv", "bin", "jsonl"]
    sys.set_int_max_str_digits(0) if hasattr(sys, "set_int_max_str_digits") else None
    with open(f"{work}/list.json", encoding="utf-8") as f:
        text = f.read().strip()
    if not text:
        sys.exit("no relation was meant")
    refusals = read_refusals(work)
    bad = 0
    for entry in json.loads(text):
        for form in forms:
            said = compare(work, mount, entry, form, refusals)
            if said is not None:
                bad += 1
                print(f"{entry['name']} .{form}: {said}", file=sys.stderr)
    sys.exit(bad > 0)


main()
