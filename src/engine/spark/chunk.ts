/**
 * Records as Spark keeps and moves them: chunks of bytes, many records each. A partition of states (`mapWithState`) is one record
 * that is no plain data; it travels as its entries, and is made anew where it is read.
 */
import { StateMap } from '../../dstream/state-map.js'
import type { StatePartition } from '../../dstream/state-update.js'
import { deserializeRecords, serializeRecords } from '../../storage/record-serializer.js'

/** Records in a chunk: enough to serialize by columns, not too many for one array of bytes. */
const CHUNK_RECORDS_MAX = 1 << 15
/** First byte of a chunk of states. Chunks of plain records begin with the version of their format, a small number. */
const STATES = 0xff

/** The chunks of a partition, one after another. */
export function* toChunks(records: readonly unknown[]): Generator<Buffer> {
  if (records.length === 1 && isStates(records[0])) {
    yield statesChunk(records[0])
    return
  }
  for (let from = 0; from < records.length; from += CHUNK_RECORDS_MAX) {
    yield serializeRecords(
      records.length <= CHUNK_RECORDS_MAX ? records : records.slice(from, from + CHUNK_RECORDS_MAX),
    )
  }
}

/** The records of a chunk. */
export function fromChunk(chunk: Uint8Array): unknown[] {
  if (chunk[0] !== STATES) return deserializeRecords(chunk)
  const [{ byTime, entries, mapped }] = deserializeRecords(chunk.subarray(1)) as [StatesData]
  const states = new StateMap(byTime)
  for (const [key, state, time] of entries) states.put(key, state, time)
  return [{ states, mapped } satisfies StatePartition]
}

interface StatesData {
  readonly byTime: boolean
  readonly entries: readonly (readonly [key: unknown, state: unknown, time: number])[]
  readonly mapped: readonly unknown[]
}

function isStates(record: unknown): record is StatePartition {
  return typeof record === 'object' && record !== null && (record as { states?: unknown }).states instanceof StateMap
}

function statesChunk({ states, mapped }: StatePartition): Buffer {
  const entries = states.entries().map(({ key, state, time }) => [key, state, time] as const)
  const data: StatesData = { byTime: states.byTime, entries, mapped }
  return Buffer.concat([Buffer.of(STATES), serializeRecords([data])])
}
