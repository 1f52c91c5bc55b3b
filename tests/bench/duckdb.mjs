// DuckDB, for scripts/bench.
//
//     node duckdb.mjs write FILE.parquet <CSV    its own reader of CSV and writer of Parquet
//     node duckdb.mjs sum FILE.parquet COLUMN    prints the nanoseconds that the sum of a column takes
//
// $READERS is the folder whose node_modules has DuckDB.
import { createRequire } from 'node:module'

const { DuckDBInstance } = createRequire(process.env.READERS + '/')('@duckdb/node-api')
const connection = await (await DuckDBInstance.create(':memory:')).connect()
const [verb, file, column] = process.argv.slice(2)
const quoted = (name) => `'${name.replaceAll("'", "''")}'`
if (verb === 'write') {
    const options = `header = true, quote = '"', escape = '"', max_line_size = 10000000`
    await connection.run(`COPY (SELECT * FROM read_csv('/dev/stdin', ${options})) TO ${quoted(file)} (FORMAT parquet, COMPRESSION zstd)`)
} else if (verb === 'sum') {
    const begin = process.hrtime.bigint()
    await connection.runAndReadAll(`SELECT sum("${column}") FROM read_parquet(${quoted(file)})`)
    console.log(String(process.hrtime.bigint() - begin))
} else {
    throw new Error('write or sum?')
}
