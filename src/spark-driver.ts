/** The Node driver of a job that spark-submit started: its JVM is the parent, its settings are what spark-submit was told. */
import { readFileSync } from 'node:fs'
import { Conf, type ConfLayer } from './conf.js'
import { contentHash } from './engine/content-files.js'
import { BridgeConnection } from './engine/spark/bridge-connection.js'
import { JavaLink } from './engine/spark/java-link.js'
import { engineFor } from './engines.js'
import { MillraceError } from './errors.js'
import type { Job } from './job.js'
import { run } from './run.js'

/** Runs the job to its end, on the JVM that started this process. Rejects with what failed it. */
export async function driveOnSpark(job: Job): Promise<void> {
  const { input, output } = new JavaLink().streams
  const connection = new BridgeConnection(input, output, async () => 'The JVM of the Spark driver is gone.')
  await connection.ready
  const layer: ConfLayer = { source: 'spark-submit', values: settingsOf(connection.settings) }
  const code = readFileSync(process.argv[1]!, 'utf8')
  const bundle = { code, hash: contentHash(code) }
  const attached = { connection, bundle }
  const parts = { ambient: [], engine: (setup: Parameters<typeof engineFor>[0]) => engineFor(setup, { attached }) }
  // Without its JVM there is nothing this process could still do.
  connection.once('closed', (error) => {
    if (error !== null) setTimeout(() => process.exit(1), STOP_MS_MAX).unref()
  })
  const ssc = await run(job, { conf: [layer] }, parts)
  await ssc.awaitTermination()
}

/** How long a driver whose JVM is gone may take to stop. */
const STOP_MS_MAX = 5_000

/** Of what spark-submit was told, what Millrace knows: its own keys by the names they have, and Spark's. */
function settingsOf(properties: readonly (readonly [string, string])[]): Record<string, string> {
  const named = properties.map(([key, text]) => [key.replace(/^spark\.millrace\./, 'millrace.'), text] as const)
  return Object.fromEntries(named.filter(isKnown))
}

/** Spark and the cluster set keys of their own, which only they read. */
function isKnown([key, text]: readonly [string, string]): boolean {
  try {
    Conf.from({ [key]: text })
    return true
  } catch (error) {
    if (MillraceError.is(error, 'UNKNOWN_CONF_KEY')) return false
    throw error
  }
}
