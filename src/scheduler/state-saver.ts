/**
 * Saves the state of operators beside the batches, and gives it back to a new run. The first time the whole of it is saved, then
 * what changed since the last time, a layer on top. Layers are merged into one before they weigh more than the whole.
 *
 *     state/<operator>/<time>           a layer: the whole, or what changed since the layer before
 *     state/<operator>/<time>-merged    the whole as of that time, made of layers
 */
import type { DStreamGraph } from '../dstream/dstream-graph.js'
import type { StreamNode } from '../dstream/stream-node.js'
import { MillraceError, toError } from '../errors.js'
import type { JobDescription } from '../rdd/job-runner.js'
import { inTurns } from '../rdd/pacer.js'
import { samePartitioner } from '../rdd/partitioner.js'
import type { RDD } from '../rdd/rdd.js'
import { joined } from '../rdd/record-arrays.js'
import { allEncoded, type LayerChunk } from '../storage/deferred-chunks.js'
import { openDirectory } from '../storage/directory-handle.js'
import type { Journal } from '../storage/journal.js'
import type { JournalEvent } from '../storage/journal-events.js'
import { LayerMerger } from '../storage/layer-merger.js'
import { checkPartition, createPartition, type EncodedChunk } from '../storage/partition-file.js'
import type { Time } from '../time.js'
import { restoreStates } from './restored-states.js'
import { SavedLayers } from './saved-layers.js'

type StateSaved = Extract<JournalEvent, { type: 'stateSaved' }>

/** More layers than this are merged, however small they are: each is a file to open at recovery. */
const MAX_LAYERS = 32

export interface StateSaverOptions {
  /** The directory of all saved state. */
  readonly directory: string
  readonly journal: Journal
  /** Keep what was saved before, as long as the journal says. */
  readonly keepsEarlier: boolean
  /** A batch is on disk in the log before its state is: state of a batch that the log does not know shows that it lost its end. */
  readonly logIsWhole: boolean
  /** Gets what fails beside the batches; what could not be saved is tried again at the next checkpoint. */
  readonly onError: (message: string, error: Error) => void
}

/** A layer that has been read and is to be written. */
interface Layer {
  readonly operator: string
  readonly operation: string
  readonly time: Time
  readonly partitions: readonly (readonly LayerChunk[])[]
  readonly rdd: RDD<unknown>
  /** True if it lies on what was saved before; else it is the whole. */
  readonly isChanges: boolean
}

export class StateSaver {
  readonly #options: StateSaverOptions
  /** What is being written, one layer after another. */
  #saving: Promise<void> = Promise.resolve()
  readonly #writing = new Set<StreamNode>()
  /** The RDD that was saved last, for what changed since. */
  readonly #savedRdds = new Map<string, { readonly time: Time; readonly rdd: RDD<unknown> }>()
  readonly #restored = new Map<StreamNode, Time>()
  readonly #layers: SavedLayers
  readonly #merger = new LayerMerger()
  #merging: Promise<void> | null = null
  #isClosing = false

  constructor(options: StateSaverOptions) {
    this.#options = options
    this.#layers = new SavedLayers(options.directory, options.onError)
  }

  /**
   * Gives every operator of the graph that has state its saved state back. Throws `CHECKPOINT_MISMATCH` when there is state of
   * an operator that the graph no longer has.
   */
  restore(graph: DStreamGraph): void {
    const { journal, directory } = this.#options
    for (const [node, time] of restoreStates(graph, journal.state, directory)) {
      this.#savedRdds.set(node.id, { time, rdd: node.generated.get(time)! })
      this.#restored.set(node, time)
      node.retained.add(time)
    }
  }

  /**
   * Every output of the batch of `time` is done. Resolves when the state that is due has been read, before later batches can
   * change it; it is written in the background, after `recorded`.
   */
  async completed(time: Time, graph: DStreamGraph, recorded: Promise<void>): Promise<void> {
    // Restored state has been computed by now, and is kept: its files may be merged away.
    for (const [node, restoredTime] of this.#restored) await node.cutHistory(restoredTime)
    this.#restored.clear()
    for (const node of graph.nodes) {
      if (node.mustCheckpoint && node.isCheckpointTime(time)) await this.#save(node, time, recorded)
    }
  }

  /** The batch of `time` was left out: states of that time and later are made anew, and nothing can be compared with them. */
  leftOut(time: Time): void {
    for (const [operator, saved] of this.#savedRdds) if (saved.time >= time) this.#savedRdds.delete(operator)
  }

  /** Saves what is newer than what has been saved, as of `time`, up to which every batch is done. Resolves when that is over. */
  async finish(time: Time, graph: DStreamGraph): Promise<void> {
    await this.#saving
    for (const node of graph.nodes) {
      if (!node.mustCheckpoint) continue
      const times = [...node.generated.keys()].filter((generatedAt) => generatedAt <= time)
      const latest = Math.max(...times)
      if (times.length > 0 && latest > (this.#saved(node.id)?.time ?? graph.zeroTime))
        await this.#save(node, latest, Promise.resolve())
    }
    await this.#saving
  }

  /** The earliest time from which input must be kept, so that the state of every operator after `time` can be computed again. */
  keepFrom(graph: DStreamGraph, time: Time): Time {
    let from = time
    for (const node of graph.nodes) {
      if (!node.mustCheckpoint) continue
      const saved = this.#options.journal.state.savedState(node.id, time) ?? this.#saved(node.id)
      from = Math.min(from, saved?.time ?? graph.zeroTime)
    }
    return from
  }

  /** Waits for what is being saved; a merge is given up. */
  async close(): Promise<void> {
    this.#isClosing = true
    await this.#merger.stop()
    await this.#merging
    await this.#saving
  }

  /**
   * Checks the state that a restart needs, and deletes what a run that was killed left behind: layers that were not finished, or
   * not deleted. Rejects with `CHECKPOINT_INVALID` and `CHECKPOINT_VERSION`.
   */
  async tidy(): Promise<void> {
    const { journal, logIsWhole } = this.#options
    for (const operator of new Set(journal.state.savedStates.map((saved) => saved.operator))) {
      const saved = this.#saved(operator)!
      for (const layer of saved.layers) {
        const handle = await openDirectory(this.#layers.path(operator, layer))
        for (let partition = 0; partition < saved.partitions; partition++) await checkPartition(handle, partition)
      }
    }
    for (const { operator, layers } of journal.state.savedStates)
      for (const layer of layers) this.#layers.add(operator, layer)
    await this.#layers.tidy((path, layer) => {
      if (logIsWhole && Number.parseInt(layer, 10) > (journal.state.lastAllocated ?? Number.NEGATIVE_INFINITY))
        throw beyondTheLog(path)
    })
  }

  #saved(operator: string): StateSaved | null {
    return this.#options.journal.state.savedState(operator)
  }

  /** Reads the state and has it written after `recorded`; when the last one still is, this time is left out. */
  async #save(node: StreamNode, time: Time, recorded: Promise<void>): Promise<void> {
    const rdd = node.generated.get(time)
    if (rdd === undefined || this.#writing.has(node)) return
    const operator = node.id
    this.#writing.add(node)
    node.retained.add(time)
    const written = (): void => {
      for (const retained of node.retained) if (retained !== time) node.retained.delete(retained)
      this.#writing.delete(node)
    }
    const failed = (error: unknown): void => {
      this.#savedRdds.delete(operator)
      node.retained.clear()
      this.#writing.delete(node)
      this.#options.onError(`The state of ${operator} could not be saved`, toError(error))
    }
    try {
      const before = this.#saved(operator)
      const changes = this.#changes(node, before, rdd)
      const { lineage } = changes ?? node.encoded(rdd)
      const job: JobDescription = { batchTime: time, outputId: null, name: `save the state of ${operator}` }
      const partitions = (await rdd.context.runner.collect(lineage, null, job)).map(joined) as LayerChunk[][]
      const isChanges = changes !== null
      this.#saving = Promise.all([this.#saving, recorded])
        .then(() => this.#write({ operator, operation: node.operation, time, partitions, rdd, isChanges }))
        .then(() => this.#mergeIfHeavy(node))
        .then(written, failed)
    } catch (error) {
      failed(error)
    }
  }

  async #write({ operator, operation, time, partitions, rdd, isChanges }: Layer): Promise<void> {
    const layer = String(time)
    try {
      const directory = await this.#layers.open(operator, layer)
      const encoded: EncodedChunk[][] = []
      for (const chunks of partitions) encoded.push(await inTurns(allEncoded(chunks)))
      await Promise.all(encoded.map((chunks, partition) => createPartition(directory, partition, chunks)))
      await directory.sync()
      await this.#layers.syncNames(operator)
      const before = this.#saved(operator)
      // A merge may have put one layer in the place of several meanwhile.
      const layers = isChanges ? [...before!.layers, layer] : [layer]
      const isHashed = rdd.partitioner?.type === 'hash'
      const { journal, keepsEarlier } = this.#options
      const saved = { operator, operation, time, partitions: partitions.length, isHashed, layers, keepsEarlier }
      await journal.record({ type: 'stateSaved', ...saved })
      this.#savedRdds.set(operator, { time, rdd })
      await this.#removeUnneeded(operator)
    } catch (error) {
      await this.#layers.remove(operator, layer)
      throw error
    }
  }

  /** What changed since the state saved last, or null where the whole must be saved. */
  #changes(node: StreamNode, before: StateSaved | null, rdd: RDD<unknown>): RDD<unknown> | null {
    const saved = this.#savedRdds.get(node.id)
    if (before === null || saved === undefined || saved.time !== before.time) return null
    // Still kept, so that it can be read; and keys lie where they lay, or layers would not meet.
    if (node.generated.get(saved.time) !== saved.rdd) return null
    if (rdd.partitioner?.type !== 'hash' || !before.isHashed || before.partitions !== rdd.numPartitions) return null
    return samePartitioner(saved.rdd.partitioner, rdd.partitioner) ? node.encodedChanges(saved.rdd, rdd) : null
  }

  async #mergeIfHeavy({ id: operator, savesColumns }: StreamNode): Promise<void> {
    const saved = this.#saved(operator)!
    const [whole, ...layers] = await Promise.all(saved.layers.map((layer) => this.#layers.bytesOf(operator, layer)))
    // One that is as heavy as this alone shows that nearly everything changes: the whole is quicker then.
    if ((layers.at(-1) ?? 0) > whole! / 2) this.#savedRdds.delete(operator)
    const isHeavy = layers.length > MAX_LAYERS || layers.reduce((sum, bytes) => sum + bytes, 0) > whole!
    if (!isHeavy || this.#merging !== null || this.#isClosing) return
    this.#merging = this.#merge(saved, savesColumns)
      .catch((error: unknown) => {
        if (this.#isClosing) return
        this.#options.onError(`The saved state of ${operator} could not be merged`, toError(error))
      })
      .finally(() => (this.#merging = null))
  }

  async #merge(from: StateSaved, areColumns: boolean): Promise<void> {
    const { operator, partitions } = from
    const merged = `${from.time}-merged`
    const directories = from.layers.map((layer) => this.#layers.path(operator, layer))
    await this.#merger.merge({ directories, target: this.#layers.path(operator, merged), partitions, areColumns })
    await this.#layers.syncNames(operator)
    // Between two savings, so that neither overlooks what the other did.
    const recorded = this.#saving.then(async () => {
      this.#layers.add(operator, merged)
      const now = this.#saved(operator)!
      const isBeneath = from.layers.every((layer, index) => now.layers[index] === layer)
      if (isBeneath) {
        const layers = [merged, ...now.layers.slice(from.layers.length)]
        await this.#options.journal.record({ ...now, layers })
      }
      await this.#removeUnneeded(operator)
    })
    this.#saving = recorded.catch(() => {})
    await recorded
  }

  /** Deletes the layers that are in no state which is kept. */
  #removeUnneeded(operator: string): Promise<void> {
    const states = this.#options.journal.state.savedStates.filter((saved) => saved.operator === operator)
    return this.#layers.removeOthers(operator, new Set(states.flatMap(({ layers }) => layers)))
  }
}

function beyondTheLog(path: string): MillraceError {
  return new MillraceError(
    'CHECKPOINT_INVALID',
    `${path} holds state of a batch that the log knows nothing of: the end of the log is missing, or all of it. Restore the log from a copy, or start with an empty checkpoint directory.`,
    { details: { directory: path } },
  )
}
