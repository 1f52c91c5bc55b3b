#!/usr/bin/env python3
"""Compares an answer with the server's own ORDER BY ... LIMIT.

  nearest.py FILE[:FILE] TABLE COLUMN METRIC K QUERY-FILE [CONDITION]

FILE is results.csv or results.jsonl, with the columns id and distance (distance_ where the table has one of that name); two are compared with one answer of the server. QUERY-FILE has a vector a line; if there are
several, FILE has the column query. The answer must have the nearest rows (any of those that are equally near), in order,
equal distances by id (with ANY_TIES in the environment: in any order), each distance within 1e-5 relative of the server's.
psql finds the server by the environment.
"""
import csv
import json
import math
import os
import subprocess
import sys

OPERATORS = {"l2": "<->", "ip": "<#>", "cosine": "<=>", "l1": "<+>", "hamming": "<~>", "jaccard": "<%>"}


def server_distances(table, column, metric, queries, condition):
    """For each query, of all rows that have one, by id."""
    sql = "".join(f"SELECT {number}, id, {column} {OPERATORS[metric]} '{query}' FROM {table} "
                  f"WHERE {column} IS NOT NULL AND ({condition});\n" for number, query in enumerate(queries))
    out = subprocess.run(["psql", "-X", "-q", "-At", "-v", "ON_ERROR_STOP=1"], check=True, input=sql,
                         capture_output=True, text=True).stdout
    found = [{} for _ in queries]
    for number, key, distance in (line.split("|") for line in out.splitlines()):
        if distance != "NaN":
            found[int(number)][int(key)] = float(distance)
    return found


def read_answer(path):
    with open(path, encoding="utf-8", newline="") as file:
        if path.endswith(".csv"):
            return list(csv.DictReader(file))
        return [json.loads(line) for line in file]


def close(a, b):
    return math.isclose(a, b, rel_tol=1e-5, abs_tol=2e-7)


def compare(answer, truth, k):
    """What is wrong, or None."""
    found = [(int(row["id"]), float(row.get("distance_", row.get("distance")))) for row in answer]
    if len(found) != min(k, len(truth)):
        return f"{len(found)} rows instead of {min(k, len(truth))}"
    if len({key for key, _ in found}) != len(found):
        return "a row comes twice"
    for key, distance in found:
        if key not in truth or not close(truth[key], distance):
            return f"row {key}: distance {distance}, the server says {truth.get(key)}"
    ties = "ANY_TIES" in os.environ
    if found != sorted(found, key=lambda row: (row[1], 0 if ties else row[0])):
        return "not in the order of (distance, id)"
    if not found:
        return None
    last = found[-1][1]
    keys = {key for key, _ in found}
    for key, distance in truth.items():
        if key not in keys and distance < last and not close(distance, last):
            return f"row {key} is missing: {distance} is nearer than {last}"
    return None


def check(path, truths, k, what):
    answer = read_answer(path)
    for number, truth in enumerate(truths):
        rows = answer if len(truths) == 1 else [row for row in answer if int(row["query"]) == number]
        wrong = compare(rows, truth, k)
        if wrong is not None:
            sys.exit(f"{path}, {what}, query {number}: {wrong}")
    if len(truths) > 1 and [int(row["query"]) for row in answer] != sorted(int(row["query"]) for row in answer):
        sys.exit(f"{path}: queries are not in order")


def main():
    paths, table, column, metric, k, query_file = sys.argv[1:7]
    condition = sys.argv[7] if len(sys.argv) > 7 else "true"
    with open(query_file, encoding="utf-8") as file:
        queries = [line.strip() for line in file if line.strip()]
    truths = server_distances(table, column, metric, queries, condition)
    for path in paths.split(":"):
        check(path, truths, int(k), f"{table}.{column}, {metric}")


main()
