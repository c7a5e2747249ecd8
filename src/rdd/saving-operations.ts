/** RDDs into files, one a partition. What is at the path is complete or not there: partitions are written beside it, then renamed. */
import { MillraceError } from '../errors.js'
import { ApproximateOperations } from './approximate-operations.js'
import type { OutsideAccess } from './outside-access.js'
import type { RDD } from './rdd.js'
import { libraryFunction, type TaskFunction } from './task-function.js'
import { toText } from './text.js'

export interface SaveOptions {
  /** Compress each file with gzip; its name then ends in `.gz`. @default false */
  readonly gzip?: boolean
  /** Replace what is at the path. @default false: what is there fails the action with `OUTPUT_EXISTS`, except in a batch of a stream, which may run again */
  readonly overwrite?: boolean
}

export abstract class SavingOperations extends ApproximateOperations {
  /**
   * Writes a line of text for every record into the directory `path`, a file `part-00000` and so on for every partition.
   * Rejects with `OUTPUT_EXISTS` when the directory is there. Text is written as it is, pairs as `(a,b)`, objects as JSON.
   */
  async saveAsTextFile<T>(this: RDD<T>, path: string, options: SaveOptions = {}): Promise<void> {
    await save(this, path, options, lineOf())
  }

  /** As `saveAsTextFile`, every record as JSON. */
  async saveAsJsonFile<T>(this: RDD<T>, path: string, options: SaveOptions = {}): Promise<void> {
    await save(this, path, options, jsonOf())
  }

  /** Writes the records so that `sparkContext.objectFile` reads them back equal. Rejects with `NOT_SERIALIZABLE` for functions and instances of classes. */
  async saveAsObjectFile<T>(this: RDD<T>, path: string, options: Pick<SaveOptions, 'overwrite'> = {}): Promise<void> {
    await output(this, path, options, (outside, directory) => outside.writeObjects(directory))
  }

  /**
   * Feeds every partition, a record a line, to a command of its own and gives the lines the command prints. A text is run by
   * the shell, an array as it is. A command that ends with another code than 0 fails the task.
   */
  pipe<T>(
    this: RDD<T>,
    command: string | readonly string[],
    environment: Readonly<Record<string, string>> = {},
  ): RDD<string> {
    const lines = this.mapped<string>({ type: 'map', f: textOf() })
    return lines.mapped({ type: 'iterate', f: this.context.outside.pipe(command, environment) })
  }
}

function save<T>(rdd: RDD<T>, path: string, options: SaveOptions, format: TaskFunction): Promise<void> {
  const lines = rdd.mapped<string>({ type: 'map', f: format })
  const extension = options.gzip === true ? '.gz' : ''
  return output(lines, path, options, (outside, directory) => outside.writeText(directory, extension))
}

async function output<T>(
  rdd: RDD<T>,
  path: string,
  { overwrite = false }: Pick<SaveOptions, 'overwrite'>,
  writer: (outside: OutsideAccess, directory: string) => TaskFunction,
): Promise<void> {
  const { outside, validatesOutput } = rdd.context
  const temporary = await outside.beginOutput(path, overwrite || !validatesOutput)
  try {
    await rdd.mapped({ type: 'iterate', f: writer(outside, temporary) }).run('save')
    await outside.commitOutput(temporary, path)
  } catch (error) {
    await outside.abortOutput(temporary)
    throw error
  }
}

const lineOf = libraryFunction('lineOf', () => (record: unknown) => {
  if (record !== null && record !== undefined) return toText(record)
  throw new MillraceError('ILLEGAL_ARGUMENT', `Text files have no line for ${record}.`)
})
const textOf = libraryFunction('textOf', () => toText)
const jsonOf = libraryFunction('jsonOf', () => (record: unknown) => JSON.stringify(record) ?? 'null')
