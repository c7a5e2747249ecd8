/**
 * Saved state lies in layers: first the whole of it, then what changed since the layer before. A record of the whole is
 * `[key, value]`. In a layer of changes, `[key, value]` came or changed and `[key]` went; what went stands before what came.
 */
import { EntryTable, type Identified, lookedUpTogether } from '../rdd/entry-table.js'
import { identityOf } from '../rdd/keys.js'
import type { Pair } from '../rdd/pair.js'
import type { DirectoryHandle } from './directory-handle.js'
import { createPartition, encodedChunks, readPartition } from './partition-file.js'

export type LayerRecord = readonly [key: unknown] | Pair<unknown, unknown>

type Pairs = Iterable<Pair<unknown, unknown>>

interface Change extends Identified {
  /** The latest of its key. */
  record: LayerRecord
  /** True if the key went; what came again came last. */
  wasGone: boolean
  /** True once it stands in the place that the whole had for it. */
  isLaid: boolean
}

/** What layers of changes, oldest first, make of the whole that lies beneath them: in its order, what came since at the end. */
export class LayerChanges {
  readonly #latest = new EntryTable<Change>()

  /** Lays the records of one more layer on top. */
  add(records: Iterable<LayerRecord>): void {
    for (const record of records) {
      const id = identityOf(record[0])
      const isGone = record.length === 1
      const change = this.#latest.get(id)
      if (change === null) {
        this.#latest.set({ id, record, wasGone: isGone, isLaid: false })
        continue
      }
      const cameAgain = change.record.length === 1 && !isGone
      change.record = record
      change.wasGone ||= isGone
      if (cameAgain) this.#latest.setLast(change)
    }
  }

  /** What is left of these records of the whole, with the values they have now. Each record is given once. */
  laidOver(whole: Pairs): Pair<unknown, unknown>[] {
    const records: Pair<unknown, unknown>[] = []
    for (const some of lookedUpTogether(whole)) {
      const ids = some.map(([key]) => identityOf(key))
      this.#latest.warm(ids)
      for (let i = 0; i < some.length; i++) {
        const change = this.#latest.get(ids[i])
        if (change === null) records.push(some[i]!)
        else if (change.record.length === 2 && !change.wasGone) {
          records.push(change.record)
          change.isLaid = true
        }
      }
    }
    return records
  }

  /** What came since; after the last call of `laidOver`. */
  added(): Pair<unknown, unknown>[] {
    const records: Pair<unknown, unknown>[] = []
    for (const { record, isLaid } of this.#latest.toArray()) if (record.length === 2 && !isLaid) records.push(record)
    return records
  }
}

/**
 * Writes what the layers in `directories` (the whole first) make together into `target`, one partition; it is there to stay once
 * `target` is synced. Rejects with what `readPartition` and `createPartition` do.
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
  await createPartition(target, partition, encodedChunks(merged()))
}
