/** Records of batches that failed and were left out: a file for each, so that nothing is skipped without a trace. */
import { join } from 'node:path'
import { errorToData } from '../errors.js'
import { openDirectory, replaceFile } from '../storage/directory-handle.js'
import type { BatchInfo } from './streaming-listener.js'

export class DeadLetters {
  readonly #directory: string

  /** Records go to `directory`, which is made when there is one. */
  constructor(directory: string) {
    this.#directory = directory
  }

  /** Writes `batch-<time>.json`: when, how much input, which outputs failed and why. Resolves to its path when it is on disk. */
  async add(batch: BatchInfo, error: Error): Promise<string> {
    const directory = await openDirectory(this.#directory)
    const { batchTime, inputs, numRecords, outputOperations } = batch
    const record = {
      batchTime,
      at: new Date(batchTime).toISOString(),
      numRecords,
      inputs,
      outputs: outputOperations.map(({ id, name, failureReason }) => ({ id, name, failureReason })),
      error: errorToData(error),
    }
    const name = `batch-${batchTime}.json`
    await replaceFile(directory, name, [Buffer.from(`${JSON.stringify(record, null, 2)}\n`)])
    return join(this.#directory, name)
  }
}
