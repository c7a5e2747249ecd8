/** What RDDs reach outside the process: files and commands. rdd/ says what it needs; storage/ has it. */
import type { TaskFunction } from './task-function.js'

/** A file or a part of one, as a record of the RDD that a reading function is applied to. */
export interface FileSplit {
  readonly path: string
  /** The bytes of the part: from `start` up to, not including, `end`. */
  readonly start: number
  readonly end: number
}

/** A file that is there. */
export interface FileInfo {
  readonly path: string
  readonly bytes: number
  readonly modifiedMs: number
}

/** The functions are task functions over an iterator of FileSplits: the reading is done by the tasks. */
export interface OutsideAccess {
  /**
   * The files that `path` stands for, in order of their names: a file, a directory (its files), a pattern with `*`, `?`, `[…]` or `{a,b}`, or
   * several of these with commas between. Hidden files, whose names begin with `.` or `_`, are left out. Throws `FILE_NOT_FOUND` for none.
   */
  files(path: string): FileSplit[]
  /** The files in a directory, or in those a pattern matches, in order of their paths; none when there is no such directory. */
  directoryFiles(pattern: string): FileInfo[]
  /** The files cut into at least about `minParts` parts; compressed ones stay whole. */
  splits(path: string, minParts: number): FileSplit[]
  /** Lines, of `.gz` files too. A line belongs to the part it begins in. */
  readLines(): TaskFunction
  /** `[path, text]` for each file. */
  readWholeText(): TaskFunction
  /** `[path, bytes]` for each file. */
  readWholeBytes(): TaskFunction
  /** Pieces of `recordLength` bytes; a file that is no multiple of it fails the task. */
  readRecords(recordLength: number): TaskFunction
  /** Records written by `writeObjects`. */
  readObjects(): TaskFunction
  /** Writes a partition as lines of text into `directory`. */
  writeText(directory: string, extension: string): TaskFunction
  /** Writes a partition as records into `directory`. */
  writeObjects(directory: string): TaskFunction
  /** Makes an empty directory that partitions are written into. Throws `OUTPUT_EXISTS` when `path` is there, unless it may be replaced. */
  beginOutput(path: string, mayReplace: boolean): Promise<string>
  /** Puts what was written into that directory at `path`, at once. */
  commitOutput(temporary: string, path: string): Promise<void>
  /** Removes what a failed job wrote. */
  abortOutput(temporary: string): Promise<void>
  /** Feeds a partition, a record a line, to a command and gives the lines it prints. */
  pipe(command: string | readonly string[], environment: Readonly<Record<string, string>>): TaskFunction
}
