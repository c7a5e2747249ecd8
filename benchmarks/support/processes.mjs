/** What the operating system knows of processes: who started whom, what they cost. Linux only. */
import { readdirSync, readFileSync } from 'node:fs'

/** The pids of all that `ancestor` started, and they in turn, whose command line matches. */
export function descendants(ancestor, command) {
  const parents = new Map()
  for (const name of readdirSync('/proc')) {
    const pid = Number(name)
    const stat = Number.isInteger(pid) ? statOf(pid) : null
    if (stat !== null) parents.set(pid, Number(stat[1]))
  }
  const found = []
  for (const pid of parents.keys()) {
    let at = pid
    while (at !== undefined && at !== ancestor) at = parents.get(at)
    if (at === ancestor && pid !== ancestor && command.test(commandOf(pid))) found.push(pid)
  }
  return found
}

/** CPU seconds the process has used, user and system, and what it waited for of its children. Zero when it is gone. */
export function cpuSeconds(pid) {
  const stat = statOf(pid)
  return stat === null ? 0 : (Number(stat[11]) + Number(stat[12])) / 100
}

/** Megabytes of memory the process has in use. */
export function residentMb(pid) {
  const stat = statOf(pid)
  return stat === null ? 0 : (Number(stat[21]) * 4096) / 1e6
}

export function commandOf(pid) {
  try {
    return readFileSync(`/proc/${pid}/cmdline`, 'latin1').replaceAll('\0', ' ')
  } catch {
    return ''
  }
}

/** The fields of /proc/<pid>/stat from the third on, since the second may hold spaces. */
function statOf(pid) {
  try {
    const text = readFileSync(`/proc/${pid}/stat`, 'latin1')
    return text.slice(text.lastIndexOf(')') + 2).split(' ')
  } catch {
    return null
  }
}
