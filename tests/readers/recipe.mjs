// Runs an example of docs/recipes.md: recipe.mjs TOOL FILE. Of SQL it prints the rows, with commas between the values.
import fs from 'node:fs'
import os from 'node:os'
import path from 'node:path'
import { createRequire } from 'node:module'

const [tool, file] = process.argv.slice(2)
const required = createRequire(process.env.READERS + '/')
const code = fs.readFileSync(file, 'utf8')
const run = (names, values) => new (Object.getPrototypeOf(async () => {}).constructor)(...names, code)(...values)

if (tool === 'duckdb') {
    const { DuckDBInstance } = required('@duckdb/node-api')
    const connection = await (await DuckDBInstance.create(':memory:')).connect()
    for (const row of (await connection.runAndReadAll(code)).getRowsJson()) console.log(row.join(','))
} else if (tool === 'polars') {
    await run(['pl'], [required('nodejs-polars').default])
} else if (tool === 'lancedb') {
    const folder = fs.mkdtempSync(path.join(os.tmpdir(), 'pgvecfs-lance.'))
    await run(['lancedb', 'arrow', 'fs', 'folder'], [required('@lancedb/lancedb'), required('apache-arrow'), fs, folder])
    fs.rmSync(folder, { recursive: true })
}
process.exit(0)
