/** Keeps two processes from writing one checkpoint directory: a lock file that names its owner and outlives it harmlessly. */
import { randomUUID } from 'node:crypto'
import { readFileSync } from 'node:fs'
import * as fs from 'node:fs/promises'
import { hostname } from 'node:os'
import { join } from 'node:path'
import { MillraceError } from '../errors.js'

const LOCK_FILE = 'LOCK'
/** Each attempt loses only to somebody who won; more than this many winners in a row means something else is wrong. */
const MAX_ATTEMPTS = 20

interface Owner {
  readonly pid: number
  readonly host: string
  /** When the process began, in the kernel's ticks: a process id is used again, together with this it is not. Null where it cannot be known. */
  readonly startTicks: string | null
  readonly token: string
}

/** A directory held by this process. */
export class DirectoryLock {
  readonly path: string
  readonly #token: string

  private constructor(path: string, token: string) {
    this.path = path
    this.#token = token
  }

  /**
   * Takes the directory at `path`, which must exist. A lock whose process is dead is taken over. Throws `DIRECTORY_IN_USE`
   * naming the process that holds it, which may be this one.
   */
  static async acquire(path: string): Promise<DirectoryLock> {
    const token = randomUUID()
    const file = join(path, LOCK_FILE)
    const mine = `${file}.${token}`
    const owner: Owner = { pid: process.pid, host: hostname(), startTicks: startTicks(process.pid), token }
    await fs.writeFile(mine, `${JSON.stringify(owner)}\n`, { flag: 'wx', mode: 0o600 })
    try {
      for (let attempt = 0; attempt < MAX_ATTEMPTS; attempt++) {
        try {
          // A link appears with its content or not at all, and never replaces another.
          await fs.link(mine, file)
          return new DirectoryLock(path, token)
        } catch (error) {
          if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
        }
        const holder = await readOwner(file)
        if (holder === 'gone') continue
        if (holder !== 'unreadable' && isAlive(holder)) throw inUse(path, holder)
        if (await takeOver(file, holder, mine)) return new DirectoryLock(path, token)
      }
      throw inUse(path, null)
    } finally {
      await fs.rm(mine, { force: true })
    }
  }

  /** True while the lock file is still this lock's: false after somebody removed it by hand. */
  async isHeld(): Promise<boolean> {
    const owner = await readOwner(join(this.path, LOCK_FILE))
    return typeof owner === 'object' && owner.token === this.#token
  }

  /** Gives the directory back. */
  async release(): Promise<void> {
    if (await this.isHeld()) await fs.rm(join(this.path, LOCK_FILE), { force: true })
  }
}

/**
 * Replaces the lock of a dead process by `mine`; false when another process was faster. Of all that see the same dead lock,
 * only the one that makes the guard file named after it may replace it; the guard of a process that died meanwhile is
 * passed in the same way.
 */
async function takeOver(file: string, dead: Owner | 'unreadable', mine: string): Promise<boolean> {
  const guards: string[] = []
  for (let guarded = dead; ; ) {
    const guard = `${file}.after-${tokenOf(guarded)}`
    try {
      await fs.link(mine, guard)
      guards.push(guard)
      break
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    }
    const other = await readOwner(guard)
    if (other === 'gone' || other === 'unreadable' || isAlive(other)) return false
    guards.push(guard)
    guarded = other
  }
  // From here on no other process passes: the guards of the dead are this one's to remove as well.
  try {
    const now = await readOwner(file)
    if (now === 'gone' || tokenOf(now) !== tokenOf(dead)) return false
    await fs.rename(mine, file)
    return true
  } finally {
    for (const guard of guards) await fs.rm(guard, { force: true })
  }
}

function tokenOf(owner: Owner | 'unreadable'): string {
  return owner === 'unreadable' ? owner : owner.token
}

async function readOwner(file: string): Promise<Owner | 'gone' | 'unreadable'> {
  let text: string
  try {
    text = await fs.readFile(file, 'utf8')
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return 'gone'
    throw error
  }
  try {
    const owner = JSON.parse(text) as Owner
    return typeof owner.pid === 'number' && typeof owner.token === 'string' ? owner : 'unreadable'
  } catch {
    // A power failure may leave the file empty; whoever wrote it did not survive that.
    return 'unreadable'
  }
}

function isAlive(owner: Owner): boolean {
  // The processes of another machine cannot be seen from here.
  if (owner.host !== hostname()) return true
  try {
    process.kill(owner.pid, 0)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ESRCH') return false
  }
  return owner.startTicks === null || owner.startTicks === startTicks(owner.pid)
}

function startTicks(pid: number): string | null {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
    // The process name may hold spaces and brackets; the fields after it do not. Field 22 is the start time.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
    // A zombie is dead; its parent has not asked for the exit code yet.
    return fields[0] === 'Z' ? null : (fields[19] ?? null)
  } catch {
    return null
  }
}

function inUse(path: string, owner: Owner | null): MillraceError {
  const by = owner === null ? 'another process' : `process ${owner.pid} on ${owner.host}`
  return new MillraceError(
    'DIRECTORY_IN_USE',
    `The checkpoint directory ${path} is in use by ${by}. Stop that process, or give this job a directory of its own. If you are sure that it is not running, delete ${join(path, LOCK_FILE)}.`,
    { details: { path, pid: owner?.pid ?? null, host: owner?.host ?? null } },
  )
}
