/** Functions that only the driver has: those a job gives inside `foreachRDD`, as it should, and those it gives after it has waited. */
import type { JobDescription } from '../rdd/job-runner.js'

const warnedOf = new Set<string>()

/** Warns, once for each line, that functions outside a batch run in the driver, since no worker can find them. */
export function warnOfDriver({ batchTime, name, callSite }: JobDescription): void {
  if (batchTime !== null) return
  const place = callSite === undefined ? name : `${name} at ${callSite.place}`
  if (warnedOf.has(place)) return
  warnedOf.add(place)
  process.emitWarning(
    `Functions of ${place} run in the driver: they were given after the job had awaited something, where no worker finds them. Describe all RDDs before the first await; actions can follow.`,
    'MillraceWarning',
  )
}
