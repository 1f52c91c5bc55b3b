"""Compares the files of TABLE/columns/ with what the server says of the rows.

    columns.py DIRECTORY ROWS    DIRECTORY: TABLE/columns; ROWS: a line of JSON for each row, as the server gives them, an
                                 object of the columns: numbers and true or false as they are; of a date the days, of a timestamp
                                 the microseconds since 1970; of a vector its list; of a bit string, a uuid and a sparse vector
                                 the text; of other types anything that is null if the value is

The reader of .npy files here is strict, and knows nothing of the program that is tested. It prints what it has compared.
"""
import ast
import json
import os
import struct
import sys

CODES = {"|b1": "?", "|u1": "B", "<i2": "h", "<i4": "i", "<i8": "q", "<u4": "I", "<f2": "e", "<f4": "f", "<f8": "d",
         "<M8[D]": "q", "<M8[us]": "q"}


def npy(path):
    """The type of the numbers, the shape, and all numbers of the array."""
    data = open(path, "rb").read()
    assert os.stat(path).st_size == len(data), path
    assert data[:8] == b"\x93NUMPY\x01\x00", path
    begin = 10 + struct.unpack("<H", data[8:10])[0]
    assert begin % 64 == 0, (path, begin)
    head = data[10:begin].decode("ascii")
    assert head.endswith("\n") and head[:-1].rstrip(" ").endswith("}"), head
    said = ast.literal_eval(head)
    assert sorted(said) == ["descr", "fortran_order", "shape"] and said["fortran_order"] is False, head
    shape, code = said["shape"], CODES[said["descr"]]
    count = 1
    for n in shape:
        count *= n
    assert len(data) - begin == count * struct.calcsize(code), (path, said, len(data))
    if code == "?":  # numpy takes any other byte for true, too
        assert set(data[begin:]) <= {0, 1}, path
    return said["descr"], shape, struct.unpack("<%d%s" % (count, code), data[begin:])


def single(value):
    return struct.unpack("<f", struct.pack("<f", value))[0]


def as_numbers(descr, value, each):
    """What the array has for the value."""
    if value is None:
        return [0] * each
    if isinstance(value, str) and descr == "|u1" and set(value) <= set("01") and len(value) <= 8 * each < len(value) + 8:
        padded = value + "0" * (8 * each - len(value))
        return [int(padded[i:i + 8], 2) for i in range(0, len(padded), 8)]
    if descr == "|u1":
        return list(bytes.fromhex(value.replace("-", "")))
    if isinstance(value, str):  # to_json writes these as strings
        value = float(value)
    values = value if isinstance(value, list) else [value]
    if descr == "<f2":
        return [struct.unpack("<e", struct.pack("<e", v))[0] for v in values]
    return [single(v) if descr == "<f4" else v for v in values]


def same(a, b):
    return all(x == y or (x != x and y != y) for x, y in zip(a, b)) and len(a) == len(b)


def escape(column):
    special = {"%": "%25", "/": "%2F", ".": "%2E"}
    return "".join(special.get(c, c) for c in column)


def compare(directory, rows, column):
    path = os.path.join(directory, escape(column))
    values = [row[column] for row in rows]
    done = ["null"]
    descr, shape, nulls = npy(path + ".null.npy")
    assert descr == "|b1" and shape == (len(rows),), (column, descr, shape)
    assert list(nulls) == [v is None for v in values], column
    if os.path.exists(path + ".npy"):
        descr, shape, numbers = npy(path + ".npy")
        assert shape[0] == len(rows), (column, shape)
        each = shape[1] if len(shape) == 2 else 1
        for row, value in enumerate(values):
            found = list(numbers[row * each:(row + 1) * each])
            assert same(found, as_numbers(descr, value, each)), (column, row, value, found)
        done.append(descr)
    if os.path.exists(path + ".fvecs"):
        data = open(path + ".fvecs", "rb").read()
        at = 0
        for row, value in enumerate(values):
            dims = struct.unpack_from("<i", data, at)[0]
            found = list(struct.unpack_from("<%df" % dims, data, at + 4))
            assert same(found, [single(v) for v in value]), (column, row)
            at += 4 + 4 * dims
        assert at == len(data), column
        done.append("fvecs")
    if os.path.exists(path + ".indptr.npy"):
        (kind, shape, starts), indices, data = (npy(path + ".%s.npy" % f) for f in ("indptr", "indices", "data"))
        assert kind == "<i8" and indices[0] == "<i4" and data[0] == "<f4", column
        assert shape == (len(rows) + 1,) and starts[0] == 0 and starts[-1] == len(data[2]) == len(indices[2]), column
        for row, value in enumerate(values):
            found = list(zip(indices[2][starts[row]:starts[row + 1]], data[2][starts[row]:starts[row + 1]]))
            stored = [] if value is None else [e for e in value[1:value.index("}")].split(",") if e]
            right = [(int(e.split(":")[0]) - 1, single(float(e.split(":")[1]))) for e in stored]
            assert found == right, (column, row, value, found)
        done.append("csr")
    return "%s: %s" % (column, " ".join(done))


if __name__ == "__main__":
    all_rows = [json.loads(line) for line in open(sys.argv[2], encoding="utf-8")]
    names = list(all_rows[0]) if all_rows else sys.argv[3:]
    for name in names:
        print(compare(sys.argv[1], all_rows, name))
