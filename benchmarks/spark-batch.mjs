// What a batch costs that holds nothing, on Spark's local[2]: a job of Millrace, whose driver is Node, against the same in Java alone.
// Once with no Spark job in the batch, once with one of one task, whose function is in TypeScript or in Java. The delays are those that
// Spark's own streaming page shows.
//
//   node benchmarks/spark-batch.mjs [batches=200] [batch interval in ms=100]
import { fileURLToPath, pathToFileURL } from 'node:url'
import { buildJavaPrograms, startJava } from './support/java-programs.mjs'
import { sparkHome } from './support/spark-homes.mjs'

const count = Number(process.argv[2] ?? 200)
const batchMs = Number(process.argv[3] ?? 100)
const conf = { 'spark.ui.enabled': 'true', 'spark.ui.port': '0', 'spark.streaming.ui.retainedBatches': '5000' }
const home = await sparkHome()
buildJavaPrograms()

for (const [mode, what] of Object.entries({ none: 'no job', job: 'a job of one task' })) {
  const java = await inJava(mode)
  const ours = await inMillrace(mode)
  const text = ({ total, processing, scheduling }) =>
    `${total.toFixed(1)} ms (scheduling ${scheduling.toFixed(1)}, processing ${processing.toFixed(1)})`
  console.log(
    `${what.padEnd(18)} millrace ${text(ours)}   java ${text(java)}   overhead ${(ours.total - java.total).toFixed(1)} ms a batch (wanted: at most 5 ms)`,
  )
}

async function inJava(mode) {
  const program = startJava('EmptyBatches', ['local[2]', String(batchMs), mode], home, conf)
  const [application, ui] = (await program.nextLine()).split(' ')
  const result = await measure(ui, application)
  await program.stop()
  return result
}

async function inMillrace(mode) {
  const { run } = await import('../dist/index.js')
  const module = pathToFileURL(fileURLToPath(new URL('support/empty-batches-job.mjs', import.meta.url)))
  Object.assign(process.env, { SPARK_HOME: home, SPARK_LOCAL_IP: '127.0.0.1', MODE: mode, BATCH_MS: String(batchMs) })
  // Each mode is a job of its own.
  const { default: job } = await import(`${module.href}?${mode}`)
  const ours = { 'millrace.engine': 'spark', 'spark.driver.memory': '1g', 'spark.log.level': 'ERROR', ...conf }
  const ssc = await run(job, { master: 'local[2]', module, conf: [ours] })
  const result = await measure(ssc.sparkContext.uiWebUrl, ssc.sparkContext.applicationId)
  await ssc.stop()
  return result
}

/** The mean delays of the last `count` batches, after as many that warm up. */
async function measure(ui, application) {
  const url = `${ui}/api/v1/applications/${application}/streaming/batches?status=COMPLETED`
  for (;;) {
    const batches = await fetch(url).then((response) => response.json())
    if (batches.length >= 2 * count) {
      const mean = (field) => batches.slice(0, count).reduce((sum, batch) => sum + batch[field], 0) / count
      return { total: mean('totalDelay'), processing: mean('processingTime'), scheduling: mean('schedulingDelay') }
    }
    await new Promise((resolve) => setTimeout(resolve, (2 * count - batches.length) * batchMs))
  }
}
