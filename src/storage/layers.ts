/**
 * Saved state lies in layers: first the whole of it, then what changed since the layer before. A record of the whole is
 * `[key, value]`. In a layer of changes, `[key, value]` came or changed and `[key]` went; what went stands before what came.
 */
import { KeyedMap } from '../rdd/keys.js'
import type { Pair } from '../rdd/pair.js'
import type { DirectoryHandle } from './directory-handle.js'
import { encodedChunks, readPartition, writePartition } from './partition-file.js'

export type LayerRecord = readonly [key: unknown] | Pair<unknown, unknown>

type Records = Iterable<Pair<unknown, unknown>>

/** What layers of changes, oldest first, make of the whole that lies beneath them: in its order, what came since at the end. */
export class LayerChanges {
  readonly #latest = new KeyedMap<LayerRecord>()
  /** Keys that went. What came again came last. */
  readonly #gone = new KeyedMap<true>()

  /** Lays the records of one more layer on top. */
  add(records: Iterable<LayerRecord>): void {
    for (const record of records) {
      const [key] = record
      if (record.length === 1) this.#gone.set(key, true)
      else if (this.#latest.get(key)?.length === 1) this.#latest.delete(key)
      this.#latest.set(key, record)
    }
  }

  /** What is left of these records of the whole, with the values they have now. Each record is given once. */
  laidOver(whole: Records): Pair<unknown, unknown>[] {
    const records: Pair<unknown, unknown>[] = []
    for (const record of whole) {
      const latest = this.#latest.get(record[0])
      if (latest === undefined) records.push(record)
      else if (latest.length === 2 && !this.#gone.has(record[0])) {
        records.push(latest)
        this.#latest.delete(record[0])
      }
    }
    return records
  }

  /** What came since; after the last call of `laidOver`. */
  added(): Pair<unknown, unknown>[] {
    const records: Pair<unknown, unknown>[] = []
    for (const [, record] of this.#latest) if (record.length === 2) records.push(record)
    return records
  }
}

/**
 * Writes what the layers in `directories` (the whole first) make together into `target`, one partition. It is on disk when it
 * resolves. Rejects with what `readPartition` and `writePartition` do.
 */
export async function mergePartition(
  directories: readonly DirectoryHandle[],
  target: DirectoryHandle,
  partition: number,
): Promise<void> {
  const [bottom, ...layers] = directories
  const changes = new LayerChanges()
  for (const layer of layers) {
    for (const records of await readPartition(layer, partition)) changes.add(records as LayerRecord[])
  }
  const whole = await readPartition(bottom!, partition)
  const merged = function* (): Generator<readonly unknown[]> {
    for (const records of whole) yield changes.laidOver(records as Pair<unknown, unknown>[])
    yield changes.added()
  }
  await writePartition(target, partition, encodedChunks(merged()))
}
