/** Processes as the operating system sees them: to kill one, and to see that none is left. */
import { readdirSync, readFileSync } from 'node:fs'

/** The pids of the processes that `parent` started and that still run. */
export function childrenOf(parent: number): number[] {
  return pids().filter((pid) => field(pid, 'PPid') === String(parent) && isAlive(pid))
}

/** The processes, of all below `ancestor`, whose command line matches. */
export function descendantsOf(ancestor: number, command: RegExp): number[] {
  const below = childrenOf(ancestor)
  const all = below.flatMap((pid) => [pid, ...descendantsOf(pid, /^/)])
  return all.filter((pid) => command.test(commandOf(pid)))
}

/** True while the process runs; a zombie does not. */
export function isAlive(pid: number): boolean {
  const state = field(pid, 'State')
  return state !== null && !state.startsWith('Z')
}

/** The process that started `pid`. */
export function parentOf(pid: number): number {
  return Number(field(pid, 'PPid'))
}

export function commandOf(pid: number): string {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

/** Waits for something the operating system tells nobody about: asks again every 20 ms, for four minutes at most. */
export async function eventually<T>(check: () => T | Promise<T>): Promise<NonNullable<T>> {
  const deadline = Date.now() + 240_000
  while (Date.now() < deadline) {
    const found = await check()
    if (found !== undefined && found !== null && found !== false) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
  throw new Error('It did not happen within four minutes.')
}

function pids(): number[] {
  return readdirSync('/proc')
    .map(Number)
    .filter((pid) => Number.isInteger(pid))
}

function field(pid: number, name: string): string | null {
  try {
    return new RegExp(`^${name}:\\s*(.*)$`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))?.[1] ?? null
  } catch {
    return null
  }
}
