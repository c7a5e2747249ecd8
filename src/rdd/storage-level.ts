/** Where and how a block is kept: Spark's StorageLevel, flag by flag. */
import { MillraceError } from '../errors.js'

interface Flags {
  readonly useDisk: boolean
  readonly useMemory: boolean
  readonly useOffHeap: boolean
  readonly deserialized: boolean
  readonly replication: number
}

/**
 * Where a block may live (memory, disk), in which form (values or bytes) and in how many copies. The constants are Spark's.
 *
 * ```ts
 * import { StorageLevel } from 'millrace'
 * StorageLevel.MEMORY_AND_DISK_2.replication // 2
 * ```
 */
export class StorageLevel implements Flags {
  readonly useDisk: boolean
  readonly useMemory: boolean
  readonly useOffHeap: boolean
  readonly deserialized: boolean
  readonly replication: number

  private constructor(flags: Flags) {
    this.useDisk = flags.useDisk
    this.useMemory = flags.useMemory
    this.useOffHeap = flags.useOffHeap
    this.deserialized = flags.deserialized
    this.replication = flags.replication
  }

  static #level(flags: string, replication: number): StorageLevel {
    return new StorageLevel({
      useDisk: flags.includes('d'),
      useMemory: flags.includes('m'),
      useOffHeap: flags.includes('o'),
      deserialized: flags.includes('v'),
      replication,
    })
  }

  static readonly NONE: StorageLevel = StorageLevel.#level('----', 1)
  static readonly DISK_ONLY: StorageLevel = StorageLevel.#level('d---', 1)
  static readonly DISK_ONLY_2: StorageLevel = StorageLevel.#level('d---', 2)
  static readonly DISK_ONLY_3: StorageLevel = StorageLevel.#level('d---', 3)
  static readonly MEMORY_ONLY: StorageLevel = StorageLevel.#level('-m-v', 1)
  static readonly MEMORY_ONLY_2: StorageLevel = StorageLevel.#level('-m-v', 2)
  static readonly MEMORY_ONLY_SER: StorageLevel = StorageLevel.#level('-m--', 1)
  static readonly MEMORY_ONLY_SER_2: StorageLevel = StorageLevel.#level('-m--', 2)
  static readonly MEMORY_AND_DISK: StorageLevel = StorageLevel.#level('dm-v', 1)
  static readonly MEMORY_AND_DISK_2: StorageLevel = StorageLevel.#level('dm-v', 2)
  static readonly MEMORY_AND_DISK_SER: StorageLevel = StorageLevel.#level('dm--', 1)
  static readonly MEMORY_AND_DISK_SER_2: StorageLevel = StorageLevel.#level('dm--', 2)
  static readonly OFF_HEAP: StorageLevel = StorageLevel.#level('dmo-', 1)

  /** A level of one's own. Throws `ILLEGAL_ARGUMENT` when replication is not 1 – 39, or off-heap storage is asked to keep values. */
  static of(flags: Flags): StorageLevel {
    if (!Number.isInteger(flags.replication) || flags.replication < 1 || flags.replication >= 40) {
      throw new MillraceError('ILLEGAL_ARGUMENT', `Replication must be from 1 to 39, not ${flags.replication}.`)
    }
    if (flags.useOffHeap && flags.deserialized) {
      throw new MillraceError('ILLEGAL_ARGUMENT', 'Off-heap storage keeps bytes; it cannot be deserialized.')
    }
    const level = new StorageLevel(flags)
    return named().find(([, known]) => known.equals(level))?.[1] ?? level
  }

  /** The level with that name, such as `'MEMORY_AND_DISK_2'`. Throws `ILLEGAL_ARGUMENT` for another name. */
  static fromString(name: string): StorageLevel {
    const found = named().find(([known]) => known === name)
    if (found === undefined) {
      const names = named().map(([known]) => known)
      throw new MillraceError(
        'ILLEGAL_ARGUMENT',
        `${name} is not a storage level. Expected one of ${names.join(', ')}.`,
      )
    }
    return found[1]
  }

  /** True if a block can be kept at all: in memory or on disk. */
  get isValid(): boolean {
    return (this.useMemory || this.useDisk) && this.replication > 0
  }

  equals(other: StorageLevel): boolean {
    return (
      this.useDisk === other.useDisk &&
      this.useMemory === other.useMemory &&
      this.useOffHeap === other.useOffHeap &&
      this.deserialized === other.deserialized &&
      this.replication === other.replication
    )
  }

  /** The level's own name, or its flags when it has none. */
  toString(): string {
    return named().find(([, known]) => known.equals(this))?.[0] ?? this.description
  }

  /** In words, as Spark's storage page says it: `Disk Memory Deserialized 2x Replicated`. */
  get description(): string {
    const words = [
      ...(this.useDisk ? ['Disk'] : []),
      ...(this.useMemory ? [this.useOffHeap ? 'Memory (off heap)' : 'Memory'] : []),
      this.deserialized ? 'Deserialized' : 'Serialized',
      `${this.replication}x Replicated`,
    ]
    return words.join(' ')
  }
}

function named(): [string, StorageLevel][] {
  return Object.entries(StorageLevel).filter(
    (entry): entry is [string, StorageLevel] => entry[1] instanceof StorageLevel,
  )
}
