/** Reads the table that examples/counts-into-sql.ts writes. */
import { existsSync, readFileSync } from 'node:fs'
import openSqlite from 'sql.js/dist/sql-wasm-inline.js'

/** The rows of the file as it is now, by word; null before there is a table with any. */
export async function sqlCounts(file: string): Promise<[word: string, n: number][] | null> {
  const { Database } = await openSqlite()
  if (!existsSync(file)) return null
  const database = new Database(readFileSync(file))
  const [table] = database.exec('SELECT word, n FROM counts ORDER BY word')
  database.close()
  return (table?.values ?? null) as [string, number][] | null
}
