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

/** What layers of changes, oldest first, make of the whole that lies beneath them. */
export class LayerChanges {
  readonly #latest = new KeyedMap<LayerRecord>()

  /** Lays the records of one more layer on top. */
  add(records: Iterable<LayerRecord>): void {
    for (const record of records) this.#latest.set(record[0], record)
  }

  /** Those of `whole` that no layer speaks of. */
  untouched(whole: Records): Pair<unknown, unknown>[] {
    const kept: Pair<unknown, unknown>[] = []
    for (const record of whole) if (!this.#latest.has(record[0])) kept.push(record)
    return kept
  }

  /** What came, or changed, and is still there. */
  current(): Pair<unknown, unknown>[] {
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
    for (const records of whole) yield changes.untouched(records as Pair<unknown, unknown>[])
    yield changes.current()
  }
  await writePartition(target, partition, encodedChunks(merged()))
}
