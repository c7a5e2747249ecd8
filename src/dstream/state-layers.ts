/** What tasks do with layers of saved state: find what changed since the one before, and put them together again. */
import { zipped } from '../rdd/combination.js'
import { canonicalKey, KeyedMap } from '../rdd/keys.js'
import { inTurns, Pacer } from '../rdd/pacer.js'
import type { Pair } from '../rdd/pair.js'
import type { RDD } from '../rdd/rdd.js'
import { type LibraryFunction, libraryFunction } from '../rdd/task-function.js'
import { DeferredChunks, type LayerChunk } from '../storage/deferred-chunks.js'
import { LayerChanges, type LayerRecord } from '../storage/layers.js'
import { type EncodedChunk, encodedChunks } from '../storage/partition-file.js'
import { encodedStateRecords, type StateRecord } from '../storage/state-columns.js'
import { recordsOf, wholeOf } from './state-entries.js'
import type { StateMap } from './state-map.js'
import type { StatePartition } from './state-update.js'

type Pairs = Iterable<Pair<unknown, unknown>>

/** What changed from the states of `mapWithState` to later ones, as the chunks of a layer: `[before, after]` through `zip`. */
export const changedStates: () => LibraryFunction = libraryFunction(
  'changedStates',
  () =>
    ([[before], [after]]: readonly [Iterable<StatePartition>, Iterable<StatePartition>]) => {
      const difference = after!.states.changesSince(before!.states)
      const { births } = before!.states
      return layerOf(after!.states, () => recordsOf(difference, births))
    },
)

/** All states of `mapWithState` as the records of their file. */
export const stateColumns: () => LibraryFunction = libraryFunction(
  'stateColumns',
  () =>
    ([partition]: Iterable<StatePartition> & readonly StatePartition[]) =>
      wholeOf(partition!.states.entries()),
)

/** All states of `mapWithState` as the chunks of a layer. */
export const encodedStates: () => LibraryFunction = libraryFunction(
  'encodedStates',
  () =>
    ([partition]: Iterable<StatePartition> & readonly StatePartition[]) => {
      const entries = partition!.states.entries()
      return layerOf(partition!.states, () => wholeOf(entries))
    },
)

/** Entries stay as they are, and what they hold too unless it is an object: then they can be encoded later. */
async function layerOf(states: StateMap, records: () => Iterable<StateRecord>): Promise<readonly LayerChunk[]> {
  const encode = (): Iterable<EncodedChunk> => encodedStateRecords(records())
  return states.holdsObjects ? inTurns(encode()) : [new DeferredChunks(encode)]
}

/**
 * What changed from pairs with unique keys to later ones made of them: `[before, after]` through `zip`. Those that stayed come
 * in the same order, so both are walked side by side. A key that has another place now counts as gone and come again, so that
 * the layer leads to the same order. An object always counts as changed: functions may return the state they were given after
 * changing it in place.
 */
const changedPairs: () => LibraryFunction = libraryFunction(
  'changedPairs',
  () =>
    async ([before, after]: readonly [Pairs, Pairs]) => {
      const earlier = Array.from(before)
      const later = Array.from(after)
      const removed: LayerRecord[] = []
      const changed: LayerRecord[] = []
      let places: KeyedMap<number> | null = null
      const pacer = new Pacer()
      let at = 0
      for (let i = 0; i < later.length; i++) {
        if ((i & 255) === 0 && pacer.isDue) await pacer.turn()
        const [key, value] = later[i]!
        let place: number | undefined
        if (at < earlier.length) {
          if (isSameKey(earlier[at]![0], key)) place = at
          else {
            places ??= placesOf(earlier)
            place = places.get(key)
          }
        }
        if (place === undefined || place < at) {
          changed.push(later[i]!)
          continue
        }
        while (at < place) removed.push([earlier[at++]![0]])
        if (isChanged(earlier[at++]![1], value)) changed.push(later[i]!)
      }
      while (at < earlier.length) removed.push([earlier[at++]![0]])
      return removed.concat(changed)
    },
)

/** What changed from pairs with unique keys to later ones, as the chunks of a layer. */
export function pairChanges(before: RDD<unknown>, after: RDD<unknown>): RDD<unknown> {
  return zipped([before, after], changedPairs(), null).mapped({ type: 'iterate', f: encodedLayer() })
}

/** The records of layers, the whole first: `[whole, ...changes]` through `zip`. */
export const mergedLayers: () => LibraryFunction = libraryFunction(
  'mergedLayers',
  () =>
    ([whole, ...layers]: readonly [Pairs, ...Iterable<LayerRecord>[]]) => {
      const changes = new LayerChanges()
      for (const layer of layers) changes.add(layer)
      const records = changes.laidOver(whole)
      return records.concat(changes.added())
    },
)

/** An RDD of the records of layers, the whole first, which lie by one partitioner. */
export function layersMerged(layers: readonly RDD<unknown>[]): RDD<unknown> {
  return zipped(layers, mergedLayers(), layers[0]!.partitioner)
}

/** The records of a layer as the chunks of its file. */
export const encodedLayer: () => LibraryFunction = libraryFunction(
  'encodedLayer',
  () => (records: Iterable<unknown>) => inTurns(encodedChunks([Array.from(records)])),
)

function placesOf(pairs: readonly Pair<unknown, unknown>[]): KeyedMap<number> {
  const places = new KeyedMap<number>()
  for (let i = 0; i < pairs.length; i++) places.set(pairs[i]![0], i)
  return places
}

function isSameKey(a: unknown, b: unknown): boolean {
  if (Object.is(a, b) || a === b) return true
  return typeof a === 'object' && typeof b === 'object' && canonicalKey(a) === canonicalKey(b)
}

function isChanged(before: unknown, after: unknown): boolean {
  return !Object.is(before, after) || (typeof after === 'object' && after !== null)
}
