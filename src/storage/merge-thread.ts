/** A thread that merges layers of saved state into one and ends: the work of its whole, kept away from the batches. */
import { constants, setPriority } from 'node:os'
import { parentPort, workerData } from 'node:worker_threads'
import { errorToData } from '../errors.js'
import { openDirectory } from './directory-handle.js'
import type { MergeRequest, MergeResult } from './layer-merger.js'
import { mergePartition } from './layers.js'
import { mergeStatePartition } from './state-columns.js'

// On Linux that is this thread alone: it takes what the batches leave of the processor. Elsewhere it would be the process.
if (process.platform === 'linux') setPriority(constants.priority.PRIORITY_LOW)

const { directories, target, partitions, areColumns } = workerData as MergeRequest
let result: MergeResult = { error: null }
try {
  const layers = await Promise.all(directories.map(openDirectory))
  const into = await openDirectory(target)
  const merge = areColumns ? mergeStatePartition : mergePartition
  for (let partition = 0; partition < partitions; partition++) await merge(layers, into, partition)
  await into.sync()
} catch (thrown) {
  result = { error: errorToData(thrown) }
}
parentPort!.postMessage(result)
