/**
 * A stage as threads get it: the lineage from its top down to shuffles and sources, as plain data with functions by name. What a
 * task reads (blocks, shuffle output, records of the driver) travels with the task; here its place is a leaf.
 */
import { MillraceError } from '../../errors.js'
import type { Lineage, NarrowOperation, PartitionedLineage } from '../../rdd/lineage.js'
import {
  type AnyFunction,
  canTravel,
  type FunctionData,
  functionToData,
  resolveFunction,
  type TaskFunction,
} from '../../rdd/task-function.js'
import type { Time } from '../../time.js'
import { sourceChecksum } from '../graph-functions.js'

export interface StageData {
  readonly id: number
  /** The lineage whose partitions are computed. */
  readonly top: unknown
  /** The shuffle whose map side this stage is, or null for a stage that gives results. */
  readonly shuffle: unknown
  /** Where a stage that saves its partitions writes them, or null. */
  readonly directory: string | null
  /** Checksums of the source texts of the user's functions: another text under a name is another function. */
  readonly sources: ReadonlyMap<string, number>
}

export interface Stage {
  readonly id: number
  readonly top: Lineage
  readonly shuffle: PartitionedLineage | null
  readonly directory: string | null
}

/** True if every function of a stage with this top can be found in a thread. */
export function stageTravels(top: Lineage, shuffle: PartitionedLineage | null): boolean {
  if (shuffle !== null && !shuffleFunctions(shuffle).every(canTravel)) return false
  const seen = new Set<Lineage>()
  const waiting = [top]
  for (let node = waiting.pop(); node !== undefined; node = waiting.pop()) {
    if (seen.has(node)) continue
    seen.add(node)
    if (node.type === 'partitioned') {
      if (!shuffleFunctions(node).every(canTravel)) return false
    } else if (node.type === 'mapped') {
      if (!operationFunctions(node.operation).every(canTravel)) return false
      waiting.push(...node.parents)
    } else if (node.type === 'united') waiting.push(...node.parents)
  }
  return true
}

export function stageToData({ id, top, shuffle, directory }: Stage): StageData {
  const encoder = new StageEncoder()
  return {
    id,
    directory,
    top: encoder.node(top),
    shuffle: shuffle === null ? null : encoder.shuffle(shuffle),
    sources: encoder.sources,
  }
}

/** The stage again. Throws `FUNCTION_NOT_FOUND` when a function is not in this thread's graph, or is another one there. */
export function stageFromData(data: StageData, find: (id: string, time: Time | null) => AnyFunction): Stage {
  const checked = (id: string, time: Time | null): AnyFunction => {
    const call = find(id, time)
    if (sourceChecksum(call) !== data.sources.get(sourceKey(id, time))) {
      throw new MillraceError('FUNCTION_NOT_FOUND', `Function ${id} is another one in this thread's graph.`, {
        details: { function: id, time },
      })
    }
    return call
  }
  const revived = revive(data, checked, new Map()) as { top: Lineage; shuffle: PartitionedLineage | null }
  return { id: data.id, top: revived.top, shuffle: revived.shuffle, directory: data.directory }
}

class StageEncoder {
  readonly sources = new Map<string, number>()
  readonly #nodes = new Map<Lineage, unknown>()

  node(lineage: Lineage): unknown {
    let data = this.#nodes.get(lineage)
    if (data === undefined) {
      data = this.#encode(lineage)
      this.#nodes.set(lineage, data)
    }
    return data
  }

  shuffle(lineage: PartitionedLineage): unknown {
    const { id, partitions, storageLevel, partitioner, combiner } = lineage
    return {
      type: 'partitioned',
      id,
      partitions,
      storageLevel: storageLevel === null ? null : { ...storageLevel },
      partitioner: this.#fields(
        partitioner.type === 'range' ? { ...partitioner, sampled: null } : (partitioner as object),
      ),
      combiner: combiner === null ? null : this.#fields(combiner),
      // The other side of the shuffle is another stage.
      parent: null,
    }
  }

  #encode(lineage: Lineage): unknown {
    const { id, partitions } = lineage
    const base = {
      id,
      partitions,
      partitioner: null,
      storageLevel: lineage.storageLevel && { ...lineage.storageLevel },
    }
    switch (lineage.type) {
      case 'mapped':
        return {
          ...base,
          type: 'mapped',
          parents: lineage.parents.map((parent) => this.node(parent)),
          operation: this.#fields(lineage.operation),
        }
      case 'united':
        return {
          ...base,
          type: 'united',
          parents: lineage.parents.map((parent) => this.node(parent)),
          groups: lineage.groups,
        }
      case 'partitioned':
        return this.shuffle(lineage)
      case 'checkpointed':
        return { ...base, type: 'checkpointed', directory: lineage.directory, rddId: lineage.rddId }
      default:
        return { ...base, type: 'checkpointed', directory: null, rddId: id }
    }
  }

  #fields(fields: object): Record<string, unknown> {
    const entries = Object.entries(fields).map(([name, value]) => [
      name,
      isTaskFunction(value) ? this.#f(value) : value,
    ])
    return Object.fromEntries(entries)
  }

  #f(f: TaskFunction): FunctionData {
    this.#noteSources(f)
    return functionToData(f)
  }

  #noteSources(f: TaskFunction): void {
    if (f.type === 'user') this.sources.set(sourceKey(f.id ?? '', f.time), sourceChecksum(f.call))
    else for (const arg of f.args) if (isTaskFunction(arg)) this.#noteSources(arg)
  }
}

/** Puts functions back in place of their names, all the way down; what was shared stays shared. */
function revive(
  value: unknown,
  find: (id: string, time: Time | null) => AnyFunction,
  revived: Map<object, unknown>,
): unknown {
  if (typeof value !== 'object' || value === null) return value
  const known = revived.get(value)
  if (known !== undefined) return known
  if (isFunctionData(value)) {
    const f = resolveFunction(value, find)
    revived.set(value, f)
    return f
  }
  if (Array.isArray(value)) {
    revived.set(value, value)
    for (let i = 0; i < value.length; i++) value[i] = revive(value[i], find, revived)
    return value
  }
  if (Object.getPrototypeOf(value) !== Object.prototype) return value
  revived.set(value, value)
  const fields = value as Record<string, unknown>
  for (const name of Object.keys(fields)) {
    if (name !== 'groups' && name !== 'bounds') fields[name] = revive(fields[name], find, revived)
  }
  return value
}

function operationFunctions(operation: NarrowOperation): TaskFunction[] {
  if (operation.type !== 'fold') return [operation.f]
  return [operation.zero, operation.add, ...(operation.finish === null ? [] : [operation.finish])]
}

function shuffleFunctions({ combiner, partitioner }: PartitionedLineage): TaskFunction[] {
  return [
    ...(combiner === null ? [] : [combiner.create, combiner.mergeValue, combiner.mergeCombiners]),
    ...(partitioner.type === 'custom' ? [partitioner.f] : []),
  ]
}

function isTaskFunction(value: unknown): value is TaskFunction {
  return typeof value === 'object' && value !== null && typeof (value as { call?: unknown }).call === 'function'
}

function isFunctionData(value: object): value is FunctionData {
  const { type, id, args } = value as { type?: unknown; id?: unknown; args?: unknown }
  return (type === 'user' && typeof id === 'string') || (type === 'library' && Array.isArray(args))
}

function sourceKey(id: string, time: Time | null): string {
  return time === null ? id : `${id}@${time}`
}
