/** `millrace submit`: hands a job to a Spark cluster by spark-submit. */
import { once } from 'node:events'
import { pathToFileURL } from 'node:url'
import { Conf } from '../conf.js'
import { ambientLayers } from '../conf-sources.js'
import { bundleJob } from '../engine/job-bundle.js'
import { importBundle, jobOf } from '../engine/job-module.js'
import { bundleForSpark } from '../engine/spark/spark-bundle.js'
import { findSparkHome } from '../engine/spark/spark-home.js'
import { sparkMaster } from '../engine/spark/spark-master.js'
import { type SubmissionOptions, startSubmit, writeJobJar } from '../engine/spark/spark-submission.js'
import { MillraceError } from '../errors.js'
import type { Job } from '../job.js'
import { moduleSource } from '../worker-graph.js'
import { type Command, type Given, UsageError } from './command.js'
import { runOptions, takeSettings } from './running-job.js'

const { master, conf, checkpoint, batches } = runOptions

export const submit: Command = {
  name: 'submit',
  summary: 'hand a job to a Spark cluster',
  positionals: '<job.ts>',
  options: {
    master: { ...master, help: 'the cluster: spark://host:port, yarn, k8s://https://host:port' },
    'deploy-mode': {
      type: 'string',
      placeholder: 'MODE',
      help: 'where the driver runs: cluster (default), or client, on this machine, until the job ends',
    },
    conf,
    checkpoint: { ...checkpoint, help: 'keep state and what was received there, where all machines reach it' },
    batches,
    jar: {
      type: 'string',
      placeholder: 'PATH',
      help: 'where to write the job as a jar; a standalone cluster reads it there from every worker',
    },
    supervise: { type: 'boolean', help: 'standalone clusters in cluster mode: start the driver again when it fails' },
  },
  notes: [
    'spark-submit of SPARK_HOME starts a JVM, which starts Node with the job: compiled, with all its packages, in one file.',
    'Node 20.19 or newer must be on the PATH of the workers, or where millrace.node says. In cluster mode the command ends',
    'once the cluster has taken the job. docs/spark.md has the flags for standalone clusters, YARN and Kubernetes.',
  ].join('\n'),
  async run(given: Given): Promise<number> {
    const path = given.only('job file')
    const deployMode = deployModeOf(given)
    takeSettings(given)
    const bundle = await bundleJob(path)
    const job = jobOf(await importBundle(bundle), bundle)
    const settings = Conf.from(job.conf ?? {}, ...ambientLayers())
    const cluster = masterOf(job, Conf.from(...ambientLayers()), deployMode)
    if (given.flag('supervise') && !(deployMode === 'cluster' && cluster.startsWith('spark://')))
      throw new UsageError('--supervise is for standalone clusters (spark://…) with --deploy-mode cluster.')
    const options: SubmissionOptions = {
      sparkHome: findSparkHome(),
      appName: job.name,
      sparkMaster: cluster,
      deployMode,
      conf: settings,
      bundle: await bundleForSpark(moduleSource(pathToFileURL(bundle.file))),
      jar: given.text('jar'),
      supervise: given.flag('supervise'),
    }
    return await submitted(writeJobJar(options.bundle, job.name, options.jar), options)
  },
}

function deployModeOf(given: Given): 'client' | 'cluster' {
  const mode = given.text('deploy-mode') ?? 'cluster'
  if (mode !== 'client' && mode !== 'cluster')
    throw new UsageError(`--deploy-mode ${mode} is neither client nor cluster.`)
  return mode
}

/** The cluster that the settings around the job name. */
function masterOf(job: Job, conf: Conf, deployMode: 'client' | 'cluster'): string {
  const inCode = job.conf?.['spark.master']
  if (inCode !== undefined) {
    throw new MillraceError(
      'INVALID_CONF',
      `The job sets spark.master (${inCode}) in its own code, which would be stronger than the cluster it is submitted to. Take it out of defineJob, and give it by --master.`,
      { details: { key: 'spark.master' } },
    )
  }
  if (!conf.has('spark.master')) throw new UsageError('--master is missing, such as --master spark://host:7077.')
  const given = conf.get('spark.master')
  const cluster = sparkMaster(given, conf.get('millrace.engine'))
  if (cluster === null) {
    throw new UsageError(
      `--master ${given} is not a cluster of Spark's. Expected spark://host:port, yarn or k8s://https://host:port; for other masters there is millrace run.`,
    )
  }
  if (deployMode === 'cluster' && /^local/.test(cluster)) {
    throw new UsageError(
      `--master ${cluster} runs in one JVM here, so its driver can only be here too: --deploy-mode client.`,
    )
  }
  return cluster
}

/** Runs spark-submit to its end; signals that come meanwhile are for it, which the terminal tells by itself. */
async function submitted(jar: string, options: SubmissionOptions): Promise<number> {
  console.error(`millrace: submitting ${jar}`)
  const child = startSubmit(jar, options)
  const pass = (signal: NodeJS.Signals): void => void child.kill(signal)
  const wait = (): void => {}
  process.on('SIGTERM', pass)
  process.on('SIGINT', wait)
  try {
    const [status] = (await once(child, 'exit')) as [number | null]
    return status ?? 1
  } catch (cause) {
    throw new MillraceError(
      'JAVA_NOT_FOUND',
      `Cannot start spark-submit: ${(cause as Error).message}. Spark needs Java 17 or later: install it, or set JAVA_HOME.`,
      { cause },
    )
  } finally {
    process.off('SIGTERM', pass)
    process.off('SIGINT', wait)
  }
}
