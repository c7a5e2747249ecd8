/** `millrace demo`: the main job in one command. A broker, a plant that publishes to it, and the words of its messages counted. */
import { run } from '../run.js'
import type { StreamingContext } from '../streaming-context.js'
import { type Command, type Given, UsageError } from './command.js'
import { startDemoBroker } from './demo-broker.js'
import { runOptions, superviseJob, takeSettings } from './running-job.js'
import { SensorSimulator } from './sensor-simulator.js'

const demoTopic = 'millrace/demo'

export const demo: Command = {
  name: 'demo',
  summary: 'count the words of MQTT messages, second by second, with simulated sensors',
  positionals: '',
  options: {
    broker: { type: 'string', placeholder: 'URL', help: 'read from this broker, and simulate nothing' },
    topic: { type: 'string', placeholder: 'FILTER', help: 'the topic filter to read there' },
    rate: { type: 'string', placeholder: 'N', help: 'simulated messages per second (default 1000)' },
    interval: { type: 'string', placeholder: 'TIME', help: 'the batch interval (default 1s)' },
    ...runOptions,
  },
  notes: [
    'Without --broker it starts one on a free port of loopback: Mosquitto when that is on the machine, else one in this',
    'process. Ctrl-C stops it once the batch that runs is finished.',
  ].join('\n'),
  async run(given: Given): Promise<number> {
    const url = given.text('broker')
    const topic = given.text('topic')
    const messagesPerSecond = given.count('rate') ?? 1000
    if (url !== null && topic === null) throw new UsageError('--broker needs --topic: which messages to read there.')
    if (url === null && topic !== null) throw new UsageError('--topic needs --broker: where to read it.')
    if (url !== null && given.text('rate') !== null) {
      throw new UsageError('--rate is for simulated messages, and with --broker there are none.')
    }
    takeSettings(given)
    const broker = url === null ? await startDemoBroker((text) => console.error(text)) : null
    try {
      Object.assign(process.env, {
        MILLRACE_DEMO_BROKER: url ?? broker!.url,
        MILLRACE_DEMO_TOPIC: topic ?? `${demoTopic}/#`,
        MILLRACE_DEMO_INTERVAL: given.text('interval') ?? '1s',
      })
      const { default: job, linesRead } = await import('./demo-job.js')
      let simulator: SensorSimulator | null = null
      const start = async (): Promise<StreamingContext> => {
        const ssc = await run(job, { module: new URL('./demo-job.js', import.meta.url) })
        if (broker === null) return ssc
        console.error(
          `${broker.name} at ${broker.url}; ${messagesPerSecond} messages per second on ${demoTopic}/#. Ctrl-C ends it.`,
        )
        simulator = await SensorSimulator.start({ brokerUrl: broker.url, topic: demoTopic, messagesPerSecond })
        return ssc
      }
      try {
        await superviseJob(given, start, { decoded: linesRead, alwaysStatus: true })
      } finally {
        await (simulator as SensorSimulator | null)?.stop()
      }
    } finally {
      await broker?.stop()
    }
    return 0
  },
}
