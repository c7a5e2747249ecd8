/** Runs a job on Apache Spark from this process: the driver is here, everything else in Spark. */
import { Conf, type ConfLayer } from './conf.js'
import type { StreamingContextParts } from './context-options.js'
import { graphShape } from './engine/graph-functions.js'
import type { JobBundle } from './engine/job-bundle.js'
import { bundleForSpark } from './engine/spark/spark-bundle.js'
import { SparkEngine } from './engine/spark/spark-engine.js'
import { SparkSession } from './engine/spark/spark-session.js'
import { MillraceError } from './errors.js'
import type { Job } from './job.js'
import { StreamingContext } from './streaming-context.js'

export interface SparkRunOptions {
  /** `spark://host:port`, `local-cluster[2,1,1024]`, `yarn`, `k8s://…`, or `spark-local[2]` for Spark's own local mode. */
  readonly master: string
  /** Settings weaker than the job's own, strongest first. */
  readonly conf?: readonly (ConfLayer | Readonly<Record<string, unknown>>)[]
  /** The directory of Spark. @default `SPARK_HOME`, else what `millrace doctor --install-spark` installed */
  readonly sparkHome?: string
  /** Takes what the driver JVM prints. @default standard error */
  readonly onLog?: (text: string) => void
}

/** The master Spark is given: its own words, but for `spark-local[N]`, since `local[N]` is the embedded engine here. */
export function sparkMaster(master: string): string | null {
  const local = /^spark-(local(?:\[.+\])?)$/.exec(master)
  if (local !== null) return local[1]!
  return /^(spark:\/\/.+|local-cluster\[.+\]|yarn|k8s:\/\/.+)$/.test(master) ? master : null
}

/**
 * Builds the job's graph on Spark and starts it; resolves to the running context. `bundle` is what `bundleJob` made of the
 * job's file, which Spark's executors load.
 *
 * Rejects with `UNKNOWN_MASTER`, `JAVA_NOT_FOUND`, `SPARK_NOT_FOUND`, `SPARK_FAILED`, or what building and starting throws.
 */
export async function runOnSpark(
  job: Job,
  bundle: JobBundle,
  options: SparkRunOptions,
  parts: StreamingContextParts = {},
): Promise<StreamingContext> {
  const ssc = await buildOnSpark(job, bundle, options, parts)
  await ssc.start()
  return ssc
}

/** As `runOnSpark`, without starting the streams. */
export async function buildOnSpark(
  job: Job,
  bundle: JobBundle,
  options: SparkRunOptions,
  parts: StreamingContextParts = {},
): Promise<StreamingContext> {
  const master = sparkMaster(options.master)
  if (master === null) {
    throw new MillraceError(
      'UNKNOWN_MASTER',
      `${options.master} is not a master of Spark. Expected spark://host:port, local-cluster[…], yarn, k8s://… or spark-local[N].`,
    )
  }
  const conf = Conf.from(
    { source: "the job's code", values: job.conf ?? {} },
    { source: 'the master', values: { 'spark.master': options.master } },
    ...(options.conf ?? []),
  )
  const session = await SparkSession.open({
    appName: job.name,
    sparkMaster: master,
    conf,
    bundle: await bundleForSpark(bundle),
    ...(options.sparkHome === undefined ? {} : { sparkHome: options.sparkHome }),
    ...(options.onLog === undefined ? {} : { onLog: options.onLog }),
  })
  try {
    let shape: readonly string[] | null = null
    const ssc: StreamingContext = new StreamingContext(
      { appName: job.name, batchInterval: job.batchInterval, conf },
      {
        ...parts,
        engine: (setup) =>
          new SparkEngine(session, {
            ...setup,
            // The graph changes until the context starts, and never again.
            graph: () => {
              if (ssc.getState() === 'INITIALIZED') return { shape: graphShape(ssc.graph), rememberMs: 0 }
              shape ??= graphShape(ssc.graph)
              return { shape, rememberMs: ssc.graph.inputRememberMs }
            },
          }),
      },
    )
    await job.build(ssc)
    return ssc
  } catch (error) {
    await session.close()
    throw error
  }
}
