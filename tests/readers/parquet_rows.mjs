// node parquet_rows.mjs hyparquet|duckdb FILE: prints the rows of a Parquet file as that reader has them, in the way of
// tests/tools/parquet_rows.c, so that the two can be compared. The reader's packages are in $READERS/node_modules.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'
import { pathToFileURL } from 'node:url'

const require = createRequire(process.env.READERS + '/')
const load = name => import(pathToFileURL(require.resolve(name)))

const hex = bytes => Buffer.from(bytes).toString('hex')
const text = string => hex(Buffer.from(string, 'utf8'))

function floatHex(value, size) {
    const bytes = Buffer.alloc(size)
    if (size === 8) bytes.writeDoubleBE(value)
    else bytes.writeFloatBE(value)
    return hex(bytes)
}

// The half that has exactly this value.
function halfHex(value) {
    const single = Buffer.alloc(4)
    single.writeFloatBE(value)
    const bits = single.readUInt32BE(), sign = bits >>> 31 << 15, exponent = (bits >>> 23 & 255) - 127, digits = bits & 0x7fffff
    let half
    if (exponent === 128) half = 31 << 10 | digits >>> 13
    else if (exponent > -15) half = exponent + 15 << 10 | digits >>> 13
    else if (exponent === -127) half = 0
    else half = (digits | 0x800000) >>> -exponent - 1
    return (sign | half).toString(16).padStart(4, '0')
}

function signed(bytes) {
    let value = 0n
    for (const byte of bytes) value = value << 8n | BigInt(byte)
    return bytes[0] & 0x80 ? value - (1n << BigInt(8 * bytes.length)) : value
}

// How the value of a column prints, by its element of the schema.
function printer(element) {
    const logical = element.logical_type?.type
    if (element.type === 'BOOLEAN') return v => v ? 't' : 'f'
    if (element.type === 'FLOAT') return v => floatHex(v, 4)
    if (element.type === 'DOUBLE') return v => floatHex(v, 8)
    if (logical === 'FLOAT16') return v => halfHex(v)
    if (logical === 'DECIMAL') return v => signed(v).toString()
    if (logical === 'UUID') return v => v.replaceAll('-', '')
    if (logical === 'STRING' || logical === 'JSON') return v => text(v)
    if (element.type === 'BYTE_ARRAY' || element.type === 'FIXED_LEN_BYTE_ARRAY') return v => hex(v)
    return v => String(v)
}

function print(rows, printers) {
    const one = (value, i) => value === null || value === undefined ? '\\N'
        : Array.isArray(value) ? '[' + value.map(v => printers[i](v)).join(',') + ']' : printers[i](value)
    process.stdout.write(rows.map(row => row.map(one).join('\t') + '\n').join(''))
}

async function withHyparquet(file) {
    const { parquetMetadata, parquetReadObjects, parquetRead } = await load('hyparquet')
    const { compressors } = await load('hyparquet-compressors')
    const bytes = readFileSync(file)
    const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
    const metadata = parquetMetadata(buffer)
    const leaves = metadata.schema.filter(element => element.type !== undefined)
    const printers = leaves.map(printer)
    // Its own decimals are floating-point numbers: the bytes are printed instead.
    for (const element of leaves) if (element.converted_type === 'DECIMAL') delete element.converted_type
    const same = value => value
    const parsers = {
        timestampFromMicroseconds: same, dateFromDays: same, jsonFromBytes: bytes => bytes && new TextDecoder().decode(bytes)
    }
    await parquetRead({
        file: buffer, metadata, compressors, utf8: false, parsers, rowFormat: 'array',
        onComplete: rows => print(rows, printers)
    })
}

async function withDuckdb(file) {
    const { DuckDBInstance } = await load('@duckdb/node-api')
    const connection = await (await DuckDBInstance.create(':memory:')).connect()
    const quoted = `'${file.replaceAll("'", "''")}'`
    const elements = (await connection.runAndReadAll(
        `SELECT type, logical_type FROM parquet_schema(${quoted}) WHERE type IS NOT NULL`)).getRows()
    const result = await connection.runAndReadAll(`SELECT * FROM read_parquet(${quoted})`)
    const printers = elements.map(([type, logical]) => {
        if (type === 'BOOLEAN') return v => v ? 't' : 'f'
        if (type === 'FLOAT') return v => floatHex(v, 4)
        if (type === 'DOUBLE') return v => floatHex(v, 8)
        if (/^Float16/i.test(logical)) return v => halfHex(v)
        if (/^UUID/i.test(logical)) return v => v.toString().replaceAll('-', '')
        return v => typeof v === 'string' ? text(v) : v.bytes !== undefined ? hex(v.bytes)
            : String(v.micros ?? v.days ?? v.value ?? v)
    })
    print(result.getRows().map(row => row.map(value => value?.items ?? value)), printers)
    process.exit(0) // its threads would go on
}

const [reader, file] = process.argv.slice(2)
await ({ hyparquet: withHyparquet, duckdb: withDuckdb })[reader](file)
