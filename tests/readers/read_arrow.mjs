// Reads an Arrow IPC file with apache-arrow, or a Parquet file with parquet-wasm (arrow-rs), and compares each value with the
// server's text.
//   node read_arrow.mjs FILE CSV    CSV: COPY … (FORMAT csv, HEADER, NULL '<NULL>') of the same rows, in the same order
import { readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { pathToFileURL } from 'node:url';

const require = createRequire(pathToFileURL(process.env.READERS + '/'));
const { tableFromIPC, Type } = require('apache-arrow');

function parseCsv(text) {
    const rows = [[]];
    let at = 0;
    while (at < text.length) {
        let value = '';
        if (text[at] === '"') {
            for (at++; text[at] !== '"' || text[at + 1] === '"'; at++) {
                if (text[at] === '"') at++;
                value += text[at];
            }
            at++;
        } else {
            while (at < text.length && text[at] !== ',' && text[at] !== '\n') value += text[at++];
        }
        rows.at(-1).push(value);
        if (text[at++] === '\n') rows.push([]);
    }
    rows.pop();
    return rows;
}

const number = text => ({ Infinity: Infinity, '-Infinity': -Infinity })[text] ?? Number(text);

function microseconds(text) { // of a timestamp of the years 1 to 9999, a date or a time
    const [, date, time, fraction] = /^(\d{4}-\d\d-\d\d)?[ ]?(\d\d:\d\d:\d\d)?(?:\.(\d+))?/.exec(text);
    return BigInt(Date.parse(`${date ?? '1970-01-01'}T${time ?? '00:00:00'}Z`)) * 1000n + BigInt((fraction ?? '').padEnd(6, '0'));
}

function decimal(words, scale) {
    let value = words.reduceRight((sum, word) => (sum << 32n) + BigInt(word), 0n);
    if (value >> 127n) value -= 1n << 128n;
    const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
    const text = scale > 0 ? digits.slice(0, -scale) + '.' + digits.slice(-scale) : digits;
    return (value < 0n ? '-' : '') + text;
}

const hex = bytes => Buffer.from(bytes).toString('hex');

function same(field, value, text, raw) {
    const type = field.type;
    switch (type.typeId) {
    case Type.Bool: return value === (text === 't');
    case Type.Int: return BigInt(value) === BigInt(text);
    case Type.Float: {
        const expected = type.precision <= 1 ? Math.fround(number(text)) : number(text);
        return Object.is(value, expected) || (Number.isNaN(value) && text === 'NaN');
    }
    case Type.Utf8: return value === text;
    case Type.Binary: return '\\x' + hex(value) === text;
    case Type.FixedSizeBinary:
        return /^[0-9a-f]{8}-/.test(text) ? hex(value) === text.replaceAll('-', '')
            : [...value].map(byte => byte.toString(2).padStart(8, '0')).join('').slice(0, text.length) === text;
    case Type.Date: return BigInt(raw) * 86400000000n === microseconds(text);
    case Type.Time: return BigInt(value) === microseconds(text);
    case Type.Timestamp: return BigInt(raw) === microseconds(text);
    case Type.Decimal: return decimal([...value], type.scale) === text;
    case Type.List:
    case Type.FixedSizeList: {
        const words = text.slice(1, -1).split(',');
        return words.length === value.length && words.every((word, i) => same(type.children[0], value.get(i), word));
    }
    case Type.Struct: {
        const [words, dim] = text.slice(1).split('}/');
        const pairs = words === '' ? [] : words.split(',').map(word => word.split(':').map(Number));
        return value.dim === Number(dim) && value.indices.length === pairs.length && value.values.length === pairs.length
            && pairs.every(([index, element], i) => value.indices.get(i) === index && value.values.get(i) === Math.fround(element));
    }
    default: throw new Error(`${field.name}: a type that was not expected: ${type}`);
    }
}

const [file, reference] = process.argv.slice(2);
function bytesOf(path) {
    if (!path.endsWith('.parquet')) return readFileSync(path);
    const { readParquet } = require('parquet-wasm/node');
    return readParquet(new Uint8Array(readFileSync(path))).intoIPCStream();
}
const table = tableFromIPC(bytesOf(file));
const [names, ...rows] = parseCsv(readFileSync(reference, 'utf8'));
const fail = words => { console.error(words); process.exit(1); };
if (table.numRows !== rows.length) fail(`${table.numRows} rows are not ${rows.length}`);
if (table.schema.fields.map(field => field.name).join('|') !== names.join('|')) fail('other columns');
table.schema.fields.forEach((field, column) => {
    let row = 0;
    for (const chunk of table.getChildAt(column).data) {
        for (let i = 0; i < chunk.length; i++, row++) {
            const value = table.getChildAt(column).get(row), text = rows[row][column];
            const good = value === null ? text === '<NULL>' : text !== '<NULL>' && same(field, value, text, chunk.values?.[i]);
            if (!good) fail(`${field.name}, row ${row + 1}: ${value} is not ${text}`);
        }
    }
});
console.log(rows.length, 'rows');
