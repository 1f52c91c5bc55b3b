#!/usr/bin/env python3
"""Reads an Arrow IPC file where it is mapped, and compares each value with the server's text.

arrow.py compare FILE CSV     CSV: COPY … (FORMAT csv, HEADER, NULL '<NULL>') of the same rows, in the same order
arrow.py types FILE           one line a column: its name, its Arrow type, its type in PostgreSQL
arrow.py rows FILE            rows and record batches
"""
import csv
import datetime
import decimal
import mmap
import re
import struct
import sys

NAMES = {2: "Int", 3: "Float", 4: "Binary", 5: "Utf8", 6: "Bool", 7: "Decimal", 8: "Date", 9: "Time", 10: "Timestamp",
         12: "List", 13: "Struct", 15: "FixedSizeBinary", 16: "FixedSizeList"}


class Table:
    def __init__(self, data, at):
        self.data, self.at = data, at
        self.vtable = at - struct.unpack_from("<i", data, at)[0]
        self.fields = (struct.unpack_from("<H", data, self.vtable)[0] - 4) // 2

    def place(self, number):
        if number >= self.fields:
            return 0
        offset = struct.unpack_from("<H", self.data, self.vtable + 4 + 2 * number)[0]
        return self.at + offset if offset else 0

    def scalar(self, number, form, otherwise=0):
        at = self.place(number)
        return struct.unpack_from("<" + form, self.data, at)[0] if at else otherwise

    def target(self, number):
        at = self.place(number)
        return at + struct.unpack_from("<I", self.data, at)[0] if at else 0

    def table(self, number):
        at = self.target(number)
        return Table(self.data, at) if at else None

    def text(self, number):
        at = self.target(number)
        size = struct.unpack_from("<I", self.data, at)[0]
        return bytes(self.data[at + 4:at + 4 + size]).decode()

    def vector(self, number, size):
        at = self.target(number)
        count = struct.unpack_from("<I", self.data, at)[0] if at else 0
        return [at + 4 + size * i for i in range(count)]

    def tables(self, number):
        return [Table(self.data, at + struct.unpack_from("<I", self.data, at)[0]) for at in self.vector(number, 4)]


def root(data, at):
    return Table(data, at + struct.unpack_from("<I", data, at)[0])


class Field:
    def __init__(self, table):
        self.name, self.type, kind = table.text(0), NAMES[table.scalar(2, "B")], table.table(3)
        self.children = [Field(child) for child in table.tables(5)]
        metadata = {pair.text(0): pair.text(1) for pair in table.tables(6)}
        self.postgresql = metadata.get("postgresql.type", "")
        self.form, self.words = None, self.type
        if self.type == "Int":
            bits, signed = kind.scalar(0, "i"), kind.scalar(1, "B")
            self.form = {16: "h", 32: "i", 64: "q"}[bits] if signed else {32: "I"}[bits]
            self.words = f"{'Int' if signed else 'UInt'}{bits}"
        elif self.type == "Float":
            self.form = "efd"[kind.scalar(0, "h")]
            self.words = ["Half", "Float", "Double"][kind.scalar(0, "h")]
        elif self.type == "Decimal":
            self.scale = kind.scalar(1, "i")
            self.form = "16s"
            self.words = f"Decimal{kind.scalar(2, 'i', 128)}({kind.scalar(0, 'i')},{self.scale})"
        elif self.type == "Date":
            assert kind.scalar(0, "h", 1) == 0
            self.form = "i"
        elif self.type == "Time":
            assert kind.scalar(0, "h", 1) == 2 and kind.scalar(1, "i", 32) == 64
            self.form = "q"
        elif self.type == "Timestamp":
            assert kind.scalar(0, "h") == 2
            zone = kind.text(1) if kind.place(1) else ""
            self.form, self.words = "q", f"Timestamp({zone})"
        elif self.type == "FixedSizeBinary":
            self.form = f"{kind.scalar(0, 'i')}s"
            self.words = f"FixedSizeBinary({kind.scalar(0, 'i')})"
        elif self.type == "FixedSizeList":
            self.size = kind.scalar(0, "i")
            self.words = f"FixedSizeList<{self.children[0].words}>({self.size})"
        elif self.type in ("List", "Struct"):
            self.words = f"{self.type}<{', '.join(child.words for child in self.children)}>"


class File:
    def __init__(self, path):
        with open(path, "rb") as file:
            self.data = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        size = len(self.data)
        assert self.data[:8] == b"ARROW1\0\0" and self.data[size - 6:] == b"ARROW1"
        footer = root(self.data, size - 10 - struct.unpack_from("<i", self.data, size - 10)[0])
        assert footer.scalar(0, "h") == 4
        self.fields = [Field(field) for field in footer.table(1).tables(1)]
        self.batches = []
        for at in footer.vector(3, 24):
            offset, message, body = struct.unpack_from("<qi4xq", self.data, at)
            assert offset % 64 == 0 and message % 64 == 0 and body % 64 == 0
            header = root(self.data, offset + 8)
            assert header.scalar(1, "B") == 3 and header.scalar(3, "q") == body
            batch = header.table(2)
            nodes = [struct.unpack_from("<qq", self.data, node) for node in batch.vector(1, 16)]
            buffers = [struct.unpack_from("<qq", self.data, buffer) for buffer in batch.vector(2, 16)]
            for place, count in buffers:
                assert place % 64 == 0 and place + count <= body
            self.batches.append((batch.scalar(0, "q"), nodes,
                                 [(offset + message + place, count) for place, count in buffers]))

    def values(self, field, length, nodes, buffers):
        count, nulls = nodes.pop(0)
        assert count == length, (count, length)
        place, size = buffers.pop(0)
        valid = [size == 0 or self.data[place + i // 8] >> i % 8 & 1 == 1 for i in range(length)]
        assert valid.count(False) == nulls
        data, offsets = self.data, None
        if field.type in ("Utf8", "Binary", "List"):
            place, size = buffers.pop(0)
            assert size == 4 * (length + 1)
            offsets = struct.unpack_from(f"<{length + 1}i", data, place)
        if field.type == "Struct":
            columns = [self.values(child, length, nodes, buffers) for child in field.children]
            out = list(zip(*columns))
        elif field.type in ("List", "FixedSizeList"):
            starts = offsets if offsets else [field.size * i for i in range(length + 1)]
            items = self.values(field.children[0], starts[-1], nodes, buffers)
            out = [items[starts[i]:starts[i + 1]] for i in range(length)]
        else:
            place, size = buffers.pop(0)
            if offsets:
                out = [bytes(data[place + offsets[i]:place + offsets[i + 1]]) for i in range(length)]
            elif field.type == "Bool":
                out = [data[place + i // 8] >> i % 8 & 1 for i in range(length)]
            else:
                assert size == struct.calcsize("<" + field.form) * length
                out = [struct.unpack_from("<" + field.form, data, place + struct.calcsize("<" + field.form) * i)[0]
                       for i in range(length)]
        return [value if ok else None for value, ok in zip(out, valid)]

    def columns(self):
        columns = [[] for _ in self.fields]
        for rows, nodes, buffers in self.batches:
            for column, field in zip(columns, self.fields):
                column += self.values(field, rows, nodes, buffers)
            assert not nodes and not buffers
        return columns


def days(text):
    year, month, day = re.match(r"(\d+)-(\d\d)-(\d\d)", text).groups()
    year = 1 - int(year) if text.endswith(" BC") else int(year)
    cycles = (year - 1) // 400  # of 146,097 days
    return (datetime.date(year - 400 * cycles, int(month), int(day)).toordinal() + 146097 * cycles
            - datetime.date(1970, 1, 1).toordinal())


def clock(text):
    hours, minutes, seconds, fraction = re.search(r"(\d\d):(\d\d):(\d\d)(?:\.(\d+))?", text).groups()
    return ((int(hours) * 60 + int(minutes)) * 60 + int(seconds)) * 1000000 + int((fraction or "0").ljust(6, "0"))


def packed(form, text):
    number = struct.pack("<" + form, float(text))
    return b"nan" if text == "NaN" else number


def same(field, value, text):
    """Whether the value is what the server's text says."""
    if field.type in ("Int",):
        return value == int(text)
    if field.type == "Float":
        return (b"nan" if value != value else struct.pack("<" + field.form, value)) == packed(field.form, text)
    if field.type == "Bool":
        return "ft"[value] == text
    if field.type == "Utf8":
        return value.decode() == text
    if field.type == "Binary":
        return "\\x" + value.hex() == text
    if field.type == "Date":
        return value == days(text)
    if field.type == "Time":
        return value == clock(text)
    if field.type == "Timestamp":
        return value == days(text) * 86400000000 + clock(text)
    if field.type == "Decimal":
        number = decimal.Decimal(int.from_bytes(value, "little", signed=True)).scaleb(-field.scale)
        return number == decimal.Decimal(text) and len(text.partition(".")[2]) == field.scale
    if field.type == "FixedSizeBinary":
        if field.postgresql == "uuid":
            return value.hex() == text.replace("-", "")
        return int.from_bytes(value, "big") == int(text.ljust(8 * len(value), "0"), 2)
    if field.type in ("List", "FixedSizeList"):
        words = text[1:-1].split(",")
        return len(words) == len(value) and all(same(field.children[0], v, w) for v, w in zip(value, words))
    words, dim = text[1:].split("}/")
    pairs = [word.split(":") for word in words.split(",")] if words else []
    return (value[0] == int(dim) and value[1] == [int(pair[0]) for pair in pairs]
            and [packed("f", pair[1]) for pair in pairs] == [struct.pack("<f", v) for v in value[2]])


def compare(path, reference):
    decimal.getcontext().prec = 60
    csv.field_size_limit(1 << 30)
    file = File(path)
    with open(reference, newline="", encoding="utf-8") as lines:
        rows = list(csv.reader(lines))
    names, rows = rows[0], rows[1:]
    assert names == [field.name for field in file.fields], (names, [field.name for field in file.fields])
    assert sum(batch[0] for batch in file.batches) == len(rows), (file.batches, len(rows))
    for number, (field, column) in enumerate(zip(file.fields, file.columns())):
        for row, value in enumerate(column):
            text = rows[row][number]
            good = value is None if text == "<NULL>" else value is not None and same(field, value, text)
            assert good, f"{field.name}, row {row + 1}: {value!r} is not {text!r}"
    print(len(rows), "rows")


def main():
    command, path = sys.argv[1:3]
    if command == "compare":
        compare(path, sys.argv[3])
    elif command == "types":
        for field in File(path).fields:
            print(f"{field.name}: {field.words} ({field.postgresql})")
    elif command == "rows":
        file = File(path)
        print(sum(batch[0] for batch in file.batches), len(file.batches))


main()
