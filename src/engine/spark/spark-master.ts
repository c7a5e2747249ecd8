/** Which masters are Spark's, and what is known of one before Spark runs. */
import { MillraceError } from '../../errors.js'

/**
 * The master Spark is given: `master` itself when it is one of a cluster (`spark://…`, `yarn`, `k8s://…`, `local-cluster[…]`), or when
 * `engine` (`millrace.engine`) says so, since `local` and `local[N]` mean Spark's local mode only then. Null: the embedded engine runs it.
 *
 * Throws `INVALID_CONF` when the embedded engine is asked for a master of Spark's.
 */
export function sparkMaster(master: string, engine: string | null): string | null {
  const isCluster = /^(spark:\/\/.+|local-cluster\[.+\]|yarn|k8s:\/\/.+)$/.test(master)
  if (engine === 'embedded' && isCluster) {
    throw new MillraceError(
      'INVALID_CONF',
      `Master ${master} is one of Spark's and millrace.engine is embedded. Expected master local, local[N] or local[*], or no millrace.engine.`,
    )
  }
  return isCluster || engine === 'spark' ? master : null
}

/** True when driver and executors of this master run on this machine and nowhere else. */
export function isOnThisMachine(master: string): boolean {
  return /^(local\b|local-cluster\b|spark:\/\/(127\.|localhost\b))/.test(master)
}

/** The cores of a master that names them, or 2, which is what Spark takes for a cluster it does not know yet. */
export function coresOf(master: string, availableCores: number): number {
  const local = /^local(?:\[\s*(\*|\d+)\s*(?:,\s*\d+\s*)?\])?$/.exec(master)
  if (local !== null) return local[1] === '*' ? availableCores : Number(local[1] ?? 1)
  const cluster = /^local-cluster\[\s*(\d+)\s*,\s*(\d+)\s*,\s*\d+\s*\]$/.exec(master)
  return cluster === null ? 2 : Number(cluster[1]) * Number(cluster[2])
}
