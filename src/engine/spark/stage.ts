/**
 * A stage as it travels to the Node workers of Spark's executors: the operations between two shuffles, as plain data. What lies
 * beneath (received blocks, shuffle output, kept and checkpointed partitions) reaches the worker as input and is a leaf here.
 */
import { MillraceError } from '../../errors.js'
import type { Combiner, Lineage, NarrowOperation, PartitionedLineage, PartitionRef } from '../../rdd/lineage.js'
import { HashPartitioner, type Partitioner, RangePartitioner } from '../../rdd/partitioner.js'
import {
  type AnyFunction,
  type FunctionData,
  functionToData,
  resolveFunction,
  type TaskFunction,
} from '../../rdd/task-function.js'
import { deserializeRecords, serializeRecords } from '../../storage/record-serializer.js'
import type { Time } from '../../time.js'

/** What a task does with the records of its partition. */
export type StageEnd =
  | { readonly type: 'result' }
  /** Sorts them into the partitions of this shuffle. */
  | { readonly type: 'shuffle'; readonly shuffle: PartitionedLineage }

/** Where an input of a task comes from: the leaf and its partition, and for a received block the stream that can read it. */
export type StageInput = readonly [leaf: number, partition: number, stream: number | null]

/** What one task knows beyond its stage: where each of its inputs belongs, and the records the driver gave. */
export interface TaskPayload {
  readonly inputs: readonly StageInput[]
  readonly slices: readonly (readonly [leaf: number, partition: number, records: readonly unknown[]])[]
}

/** True for a node that reaches a worker as input and is not computed above `top`'s task. */
export function isLeaf(node: Lineage, top: Lineage): boolean {
  if (node !== top && node.storageLevel !== null) return true
  return node.type !== 'mapped' && node.type !== 'united'
}

/** True for a leaf that the task reads as what it is, and not as records kept of it. */
export function isRead(leaf: Lineage, top: Lineage): boolean {
  return leaf === top || leaf.storageLevel === null
}

/** The leaves a partition of `top` reads, in order, each once. */
export function leavesOf(top: Lineage, partition: number): { leaf: Lineage; partition: number }[] {
  const found = new Map<string, { leaf: Lineage; partition: number }>()
  const walk = (node: Lineage, at: number): void => {
    if (isLeaf(node, top)) found.set(`${node.id}/${at}`, { leaf: node, partition: at })
    else if (node.type === 'united') for (const ref of node.groups[at]!) walk(node.parents[ref.parent]!, ref.partition)
    else if (node.type === 'mapped') for (const parent of node.parents) walk(parent, at)
  }
  walk(top, partition)
  return [...found.values()]
}

/** The functions of a narrow operation. */
export function functionsOf(operation: NarrowOperation): TaskFunction[] {
  if (operation.type !== 'fold') return [operation.f]
  return [operation.zero, operation.add, ...(operation.finish === null ? [] : [operation.finish])]
}

/** The functions of a shuffle, its partitioner's included. */
export function functionsOfShuffle({ combiner, partitioner }: PartitionedLineage): TaskFunction[] {
  return [
    ...(combiner === null ? [] : [combiner.create, combiner.mergeValue, combiner.mergeCombiners]),
    ...(partitioner.type === 'custom' ? [partitioner.f] : []),
  ]
}

/** The stage as bytes. `shape` is that of the driver's graph, which a worker compares with its own. */
export function encodeStage(top: Lineage, end: StageEnd, shape: readonly string[]): Buffer {
  const nodes = new Map<number, unknown>()
  const visit = (node: Lineage): void => {
    if (nodes.has(node.id)) return
    nodes.set(node.id, nodeData(node, top))
    if (isLeaf(node, top)) return
    if (node.type === 'mapped' || node.type === 'united') for (const parent of node.parents) visit(parent)
  }
  visit(top)
  const data = {
    top: top.id,
    nodes: [...nodes.values()],
    shuffle: end.type === 'shuffle' ? shuffleData(end.shuffle) : null,
    shape,
  }
  return serializeRecords([data])
}

interface StageData {
  readonly top: number
  readonly nodes: readonly NodeData[]
  readonly shuffle: NodeData | null
  readonly shape: readonly string[]
}

interface NodeData {
  readonly type: 'leaf' | 'partitioned' | 'mapped' | 'united'
  readonly id: number
  readonly partitions: number
  readonly partitioner: PartitionerData | null
  readonly parents: readonly number[]
  readonly operation: Readonly<Record<string, unknown>> | null
  readonly groups: readonly (readonly PartitionRef[])[] | null
  readonly combiner: Readonly<Record<string, unknown>> | null
}

type PartitionerData =
  | { readonly type: 'hash'; readonly partitions: number }
  | {
      readonly type: 'range'
      readonly partitions: number
      readonly ascending: boolean
      readonly bounds: readonly unknown[]
    }
  | { readonly type: 'custom'; readonly partitions: number; readonly f: FunctionData }

function nodeData(node: Lineage, top: Lineage): NodeData {
  const { id, partitions } = node
  if (node.type === 'partitioned' && isRead(node, top)) return shuffleData(node)
  const empty = { id, partitions, partitioner: null, parents: [], operation: null, groups: null, combiner: null }
  if (isLeaf(node, top)) return { ...empty, type: 'leaf' }
  if (node.type === 'united') {
    return { ...empty, type: 'united', parents: node.parents.map((parent) => parent.id), groups: node.groups }
  }
  if (node.type !== 'mapped') throw new MillraceError('INTERNAL', `A ${node.type} node is a leaf.`)
  return {
    ...empty,
    type: 'mapped',
    parents: node.parents.map((parent) => parent.id),
    operation: withFunctions(node.operation),
  }
}

function shuffleData({ id, partitions, partitioner, combiner }: PartitionedLineage): NodeData {
  return {
    type: 'partitioned',
    id,
    partitions,
    partitioner: partitionerData(partitioner),
    parents: [],
    operation: null,
    groups: null,
    combiner: combiner === null ? null : withFunctions(combiner),
  }
}

function partitionerData(partitioner: Partitioner): PartitionerData {
  const { partitions } = partitioner
  switch (partitioner.type) {
    case 'hash':
      return { type: 'hash', partitions }
    case 'range':
      return { type: 'range', partitions, ascending: partitioner.ascending, bounds: partitioner.bounds ?? [] }
    case 'custom':
      return { type: 'custom', partitions, f: functionToData(partitioner.f) }
  }
}

/** The fields of an operation or a combiner, its functions as data. */
function withFunctions(fields: object): Record<string, unknown> {
  const entries = Object.entries(fields).map(([name, value]) => [
    name,
    isFunction(value) ? functionToData(value) : value,
  ])
  return Object.fromEntries(entries)
}

function isFunction(value: unknown): value is TaskFunction {
  return typeof value === 'object' && value !== null && 'call' in value
}

/** A stage in a worker, its functions found. Leaves are of type `checkpointed` (or `partitioned`), their `rddId` the leaf's number. */
export interface Stage {
  readonly top: Lineage
  readonly shuffle: PartitionedLineage | null
  readonly shape: readonly string[]
}

/** The stage again; `find` looks up the user's functions. */
export function decodeStage(bytes: Uint8Array, find: (id: string, time: Time | null) => AnyFunction): Stage {
  const [data] = deserializeRecords(bytes) as [StageData]
  const built = new Map<number, Lineage>()
  const byId = new Map(data.nodes.map((node) => [node.id, node]))
  const resolve = (value: unknown): unknown => (isFunctionData(value) ? resolveFunction(value, find) : value)
  const resolved = (fields: Readonly<Record<string, unknown>>): never =>
    Object.fromEntries(Object.entries(fields).map(([name, value]) => [name, resolve(value)])) as never

  const partitioned = (node: NodeData): PartitionedLineage => ({
    ...base(node),
    type: 'partitioned',
    partitioner: partitionerFrom(node.partitioner!, find),
    combiner: node.combiner === null ? null : (resolved(node.combiner) as Combiner),
    // Never read here: the shuffle's input is on the other side of it.
    parent: leaf(node),
  })
  const build = (id: number): Lineage => {
    const known = built.get(id)
    if (known !== undefined) return known
    const node = byId.get(id)!
    const lineage = buildNode(node)
    built.set(id, lineage)
    return lineage
  }
  const buildNode = (node: NodeData): Lineage => {
    switch (node.type) {
      case 'leaf':
        return leaf(node)
      case 'partitioned':
        return partitioned(node)
      case 'united':
        return { ...base(node), type: 'united', parents: node.parents.map(build), groups: node.groups! }
      case 'mapped': {
        const operation = resolved(node.operation!) as NarrowOperation
        return { ...base(node), type: 'mapped', parents: node.parents.map(build), operation }
      }
    }
  }
  return {
    top: build(data.top),
    shuffle: data.shuffle === null ? null : partitioned(data.shuffle),
    shape: data.shape,
  }
}

function base({ id, partitions }: NodeData): { id: number; partitions: number; partitioner: null; storageLevel: null } {
  return { id, partitions, partitioner: null, storageLevel: null }
}

function leaf(node: NodeData): Lineage {
  return { ...base(node), type: 'checkpointed', directory: null, rddId: node.id }
}

function partitionerFrom(data: PartitionerData, find: (id: string, time: Time | null) => AnyFunction): Partitioner {
  switch (data.type) {
    case 'hash':
      return new HashPartitioner(data.partitions)
    case 'range':
      return new RangePartitioner(data.partitions, { bounds: data.bounds ?? [] }, data.ascending)
    case 'custom':
      return { type: 'custom', partitions: data.partitions, f: resolveFunction(data.f, find) }
  }
}

function isFunctionData(value: unknown): value is FunctionData {
  if (typeof value !== 'object' || value === null) return false
  const { type } = value as { type?: unknown }
  return type === 'user' || type === 'library'
}
