/**
 * The program under test: counts messages by key and writes what each batch brought into a file of its own. It is killed at
 * any moment and started again with the same arguments.
 *
 *   node kill-driver.mjs <checkpoint directory> <broker URL> <output directory> [file that lists what was synced]
 */
import { openSync, readlinkSync, writeSync } from 'node:fs'
import { open, rename, writeFile } from 'node:fs/promises'
import { join } from 'node:path'
import { MqttStringReceiver, StateSpec, StreamingContext } from 'millrace'

const [directory, url, output, syncedList] = process.argv.slice(2)

if (syncedList !== undefined) {
  // Notes after each sync how long the file was when the sync began: all that a power failure is sure to leave.
  const list = openSync(syncedList, 'a')
  const probe = await open(process.execPath)
  const prototype = Object.getPrototypeOf(probe)
  await probe.close()
  const { datasync } = prototype
  prototype.datasync = async function () {
    const { size } = await this.stat()
    const path = readlinkSync(`/proc/self/fd/${this.fd}`)
    await datasync.call(this)
    writeSync(list, `${path}\t${size}\n`)
  }
}

const ssc = await StreamingContext.getOrCreate(directory, () => {
  const made = new StreamingContext({
    appName: 'kill-test',
    batchInterval: 200,
    conf: { 'spark.streaming.stopGracefullyOnShutdown': true },
  })
  const lines = made.receiverStream(new MqttStringReceiver(url, 'kill', { clientId: 'kill-test', qos: 1 }))
  const write = async (name, text) => {
    // Idempotent by batch time: a batch that runs again writes the same file again.
    const file = join(output, name)
    await writeFile(`${file}.tmp`, text)
    await rename(`${file}.tmp`, file)
  }
  const pairs = lines.map((line) => line.split(' '))
  // Each message with how many of its key have come, itself included.
  const numbered = pairs.mapWithState(
    StateSpec.function((key, id, state) => {
      state.update((state.getOption() ?? 0) + 1)
      return `${key} ${id} ${state.get()}`
    }),
  )
  numbered.named('numbered').checkpoint('1s')
  numbered.foreachRDD(async (rdd, time) => {
    const records = await rdd.collect()
    if (records.length > 0) await write(`batch-${time}`, records.join('\n'))
  })
  const totals = pairs.updateStateByKey((values, total) => (total ?? 0) + values.length).named('totals')
  totals.checkpoint('1s')
  totals.foreachRDD(async (rdd) => write('totals', JSON.stringify(await rdd.collect())))
  return made
})
await ssc.start()
process.on('SIGTERM', () => ssc.stop({ graceful: true }))
await ssc.awaitTermination()
