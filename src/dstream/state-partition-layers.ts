/**
 * The states of `mapWithState` as the bytes of a kept partition: the whole once, then what each batch changed, so that keeping
 * them costs by the records of a batch and not by its keys.
 *
 *   [StatePartition] [StateLayer] [StateLayer] …      read back: the states of the first, changed by each layer in turn
 */
import { storableClass } from '../storage/record-format.js'
import type { StateColumns } from '../storage/state-columns.js'
import { columnsOf, entriesIn } from './state-entries.js'
import { StateMap } from './state-map.js'
import type { StatePartition } from './state-update.js'

/** What one batch changed of the states, and what its function returned. */
export class StateLayer {
  readonly removed: readonly unknown[]
  readonly columns: StateColumns
  readonly mapped: readonly unknown[]

  constructor({ removed, columns, mapped }: Omit<StateLayer, never>) {
    this.removed = removed
    this.columns = columns
    this.mapped = mapped
  }
}

storableClass(
  'StateLayer',
  StateLayer,
  (layer): StateLayer => ({ ...layer }),
  (data) => new StateLayer(data),
)

/** The states, if the records of a partition are states of `mapWithState`; else null. */
export function statesIn(records: readonly unknown[]): StatePartition | null {
  const [only] = records as readonly [Partial<StatePartition> | undefined]
  return records.length === 1 && only?.states instanceof StateMap ? (only as StatePartition) : null
}

/** What lies between `before` and `after`; null unless `after` was made from `before` here, so that the difference is known. */
export function stateLayer(before: StatePartition, after: StatePartition): StateLayer | null {
  if (!after.states.follows(before.states)) return null
  const { removed, updated } = after.states.changesSince(before.states)
  return new StateLayer({
    removed: removed.map(({ key }) => key),
    columns: columnsOf(updated),
    mapped: after.mapped,
  })
}

/** The records of a kept partition as they were read, layers laid over what is beneath them. */
export function overlaid(read: readonly unknown[]): readonly unknown[] {
  if (!(read[1] instanceof StateLayer)) return read
  const { states } = read[0] as StatePartition
  let mapped: readonly unknown[] = []
  for (const layer of read.slice(1) as StateLayer[]) {
    for (const key of layer.removed) states.remove(key)
    for (const entry of entriesIn([layer.columns])) states.putBack(entry)
    mapped = layer.mapped
  }
  return [{ states, mapped } satisfies StatePartition]
}
