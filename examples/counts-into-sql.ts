/**
 * Exactly once into a SQL table: what a batch adds, and that it did, go in by one transaction, so a batch that runs again adds
 * nothing. SQLite in a file stands for any database with transactions.
 */
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { defineJob, MqttStringReceiver, type Time } from 'millrace'
import openSqlite from 'sql.js/dist/sql-wasm-inline.js'

const broker = process.env.MQTT_URL ?? 'mqtt://127.0.0.1:1883'
const file = process.env.DATABASE ?? 'counts.sqlite'

/** Adds the counts of a batch, unless this batch's are in the table already. */
async function addCounts(time: Time, counts: readonly (readonly [string, number])[]): Promise<void> {
  const { Database } = await openSqlite()
  const database = new Database(existsSync(file) ? readFileSync(file) : null)
  database.run('CREATE TABLE IF NOT EXISTS batches (time INTEGER PRIMARY KEY)')
  database.run('CREATE TABLE IF NOT EXISTS counts (word TEXT PRIMARY KEY, n INTEGER)')
  database.run('BEGIN')
  database.run('INSERT OR IGNORE INTO batches VALUES (?)', [time])
  if (database.getRowsModified() === 1) {
    for (const count of counts)
      database.run('INSERT INTO counts VALUES (?, ?) ON CONFLICT (word) DO UPDATE SET n = n + excluded.n', count)
  }
  database.run('COMMIT')
  // With a database of its own the commit is done here; this one is in memory, and is put in the place of the file as a whole.
  writeFileSync(`${file}.new`, database.export())
  renameSync(`${file}.new`, file)
  database.close()
}

export default defineJob({ name: 'counts-into-sql', batchInterval: '1s' }, (ssc) => {
  ssc
    .receiverStream(new MqttStringReceiver(broker, 'words', { clientId: 'counts-into-sql' }))
    .flatMap((line) => line.split(' '))
    .map((word) => [word, 1])
    .reduceByKey((a, b) => a + b)
    .foreachRDD(async (rdd, time) => addCounts(time, await rdd.collect()))
})
