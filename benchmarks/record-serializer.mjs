/**
 * Records to bytes and back: Millrace's serializer against JSON, v8.serialize and, where it is installed, msgpackr.
 *
 *   npm run build && node benchmarks/record-serializer.mjs
 */
import v8 from 'node:v8'
import { deserializeRecords, serializeRecords } from '../dist/storage/record-serializer.js'

const count = 1000
const sets = {
  'objects {sensor, temp, ts}': (i) => ({ sensor: `s${i % 50}`, temp: 20 + i / 7, ts: 1_700_000_000_000 + i }),
  'lines of 60 characters': (i) => `sensor-${i} temperature 21.5 humidity 40 pressure 1013 ok ${i}`,
  'pairs [text, number]': (i) => [`key-${i}`, i * 3],
  'pairs [text, object]': (i) => [`key-${i}`, { count: i, sum: i / 3, last: `x${i}` }],
  numbers: (i) => i * 1.5,
  'mixed values': (i) => [i, `k${i}`, { a: [i, null] }][i % 3],
}
const peers = {
  millrace: [serializeRecords, deserializeRecords],
  json: [(records) => Buffer.from(JSON.stringify(records)), (bytes) => JSON.parse(bytes.toString())],
  v8: [v8.serialize, v8.deserialize],
}
try {
  const { Packr } = await import('msgpackr')
  const packr = new Packr({ useRecords: true, moreTypes: true })
  peers.msgpackr = [(records) => Buffer.from(packr.pack(records)), (bytes) => packr.unpack(bytes)]
} catch {
  console.log('msgpackr is not installed; npm i --no-save msgpackr adds it to the comparison')
}

function millionsPerSecond(run) {
  for (let i = 0; i < 300; i++) run()
  let best = 0
  for (let round = 0; round < 3; round++) {
    const begin = performance.now()
    let done = 0
    while (performance.now() - begin < 150) {
      run()
      done += count
    }
    best = Math.max(best, done / (performance.now() - begin) / 1000)
  }
  return best
}

for (const [name, make] of Object.entries(sets)) {
  const records = Array.from({ length: count }, (_, i) => make(i))
  const rows = {}
  for (const [peer, [write, read]] of Object.entries(peers)) {
    const bytes = write(records)
    rows[peer] = {
      'write M/s': millionsPerSecond(() => write(records)),
      'read M/s': millionsPerSecond(() => read(bytes)),
      'bytes a record': bytes.length / count,
    }
  }
  for (const row of Object.values(rows)) {
    row['write ×v8'] = row['write M/s'] / rows.v8['write M/s']
    row['read ×v8'] = row['read M/s'] / rows.v8['read M/s']
  }
  for (const row of Object.values(rows)) for (const key of Object.keys(row)) row[key] = Number(row[key].toFixed(1))
  console.log(name)
  console.table(rows)
}
