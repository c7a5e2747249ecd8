// How fast a receiver takes MQTT messages (64 bytes, QoS 1, from a sender of pre-encoded frames) into Spark's block manager and
// acknowledges them once they are stored, on Spark's local[3]: an MqttMessageReceiver in its Node process, against a receiver in Java
// with Paho that stores and acknowledges as carefully. Counted are the records Spark itself counted; batches do nothing with them.
//
//   node benchmarks/spark-receiver.mjs [seconds=15]
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { fileURLToPath, pathToFileURL } from 'node:url'
import { buildJavaPrograms, startJava } from './support/java-programs.mjs'
import { cpuSeconds, descendants } from './support/processes.mjs'
import { sparkHome } from './support/spark-homes.mjs'

const seconds = Number(process.argv[2] ?? 15)
const warmUp = 10
const conf = { 'spark.ui.enabled': 'true', 'spark.ui.port': '0' }
const support = (name) => fileURLToPath(new URL(`support/${name}`, import.meta.url))
const home = await sparkHome()
buildJavaPrograms()

const sender = spawn(process.execPath, [support('frame-sender.mjs'), '64', '1000', '1'], {
  stdio: ['pipe', 'pipe', 'inherit'],
})
const [port] = await once(sender.stdout, 'data')
const address = `127.0.0.1:${String(port).trim()}`
const java = await inJava()
const ours = await inMillrace()
sender.kill()
const text = ({ perSecond, totalCpu }) =>
  `${Math.round(perSecond / 1000)}k records/s, ${((totalCpu / perSecond) * 1e6).toFixed(2)} us CPU a record (all of Spark)`
console.log(
  `millrace ${text(ours)}; Node alone ${Math.round(ours.perSecond / ours.nodeCpu / 1000)}k records a CPU second (wanted: at least 200k), ${ours.nodeCpu.toFixed(2)} cores busy`,
)
console.log(`java     ${text(java)}`)
console.log(
  `ratio    ${(ours.perSecond / java.perSecond).toFixed(2)}x the records a second, ${(ours.totalCpu / ours.perSecond / (java.totalCpu / java.perSecond)).toFixed(2)}x the CPU a record`,
)

async function inJava() {
  const args = ['careful', `tcp://${address}`, 'plant/#', '1000', 'count']
  const program = startJava('MqttLines', args, home, { 'spark.master': 'local[3]', ...conf })
  const [application, ui] = (await program.nextLine()).split(' ')
  const result = await measure(ui, application, () => ({ total: cpuSeconds(program.pid), node: 0 }))
  await program.stop()
  return result
}

async function inMillrace() {
  const { run } = await import('../dist/index.js')
  const module = pathToFileURL(support('received-job.mjs'))
  Object.assign(process.env, { SPARK_HOME: home, SPARK_LOCAL_IP: '127.0.0.1', MQTT_URL: `mqtt://${address}` })
  const { default: job } = await import(module.href)
  const ours = { 'millrace.engine': 'spark', 'spark.driver.memory': '1g', 'spark.log.level': 'ERROR', ...conf }
  const ssc = await run(job, { master: 'local[3]', module, conf: [ours] })
  const { uiWebUrl, applicationId } = ssc.sparkContext
  const result = await measure(uiWebUrl, applicationId, () => {
    const [jvm] = descendants(process.pid, /io\.millrace\.bridge\.Main/)
    const [receiver] = descendants(process.pid, /millrace-worker\.mjs receiver/)
    const node = cpuSeconds(receiver)
    return { total: node + cpuSeconds(jvm) + cpuSeconds(process.pid), node }
  })
  await ssc.stop()
  return result
}

/** Records a second by Spark's own count, and CPU seconds a second, after the warm-up. */
async function measure(ui, application, cpu) {
  const records = async () => {
    const batches = await (await fetch(`${ui}/api/v1/applications/${application}/streaming/batches`)).json()
    return batches.reduce((sum, { inputSize }) => sum + inputSize, 0)
  }
  while ((await records()) === 0) await new Promise((resolve) => setTimeout(resolve, 200))
  await new Promise((resolve) => setTimeout(resolve, warmUp * 1000))
  const before = { records: await records(), at: performance.now(), cpu: cpu() }
  await new Promise((resolve) => setTimeout(resolve, seconds * 1000))
  const after = { records: await records(), at: performance.now(), cpu: cpu() }
  const elapsed = (after.at - before.at) / 1000
  return {
    perSecond: (after.records - before.records) / elapsed,
    totalCpu: (after.cpu.total - before.cpu.total) / elapsed,
    nodeCpu: (after.cpu.node - before.cpu.node) / elapsed,
  }
}
