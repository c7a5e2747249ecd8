/** A small plant that does not exist: publishes readings and log lines to a broker, for the demo. */
import { connectAsync, type MqttClient } from 'mqtt'

/** Unacknowledged messages at which the simulator waits for the broker. */
const inFlightMax = 5000
const ticksPerSecond = 20

export interface SimulatorOptions {
  readonly brokerUrl: string
  /** Messages go to `<topic>/sensors/<name>` and `<topic>/logs/<name>`. */
  readonly topic: string
  readonly messagesPerSecond: number
}

/** Publishes at QoS 1 until it is stopped: three readings of one line to one log message of two lines. */
export class SensorSimulator {
  readonly #client: MqttClient
  readonly #options: SimulatorOptions
  readonly #timer: NodeJS.Timeout
  #published = 0
  #acknowledged = 0
  #seed = 1

  private constructor(client: MqttClient, options: SimulatorOptions) {
    this.#client = client
    this.#options = options
    let last = performance.now()
    let due = 0
    this.#timer = setInterval(() => {
      const now = performance.now()
      // After a long pause the plant has not been waiting: at most one second is made up for.
      due = Math.min(due + ((now - last) / 1000) * options.messagesPerSecond, options.messagesPerSecond)
      last = now
      for (; due >= 1 && this.#published - this.#acknowledged < inFlightMax; due--) this.#publish()
    }, 1000 / ticksPerSecond)
  }

  /** Connects and begins; rejects when the broker cannot be reached. */
  static async start(options: SimulatorOptions): Promise<SensorSimulator> {
    return new SensorSimulator(await connectAsync(options.brokerUrl, { reconnectPeriod: 1000 }), options)
  }

  /** Publishes no more; resolves once the connection is closed. */
  async stop(): Promise<void> {
    clearInterval(this.#timer)
    await this.#client.endAsync(true)
  }

  #publish(): void {
    const number = this.#published++
    const machine = `${pick(machines, this.#random())}-${1 + (this.#random() % 4)}`
    const isLog = number % 4 === 3
    const topic = `${this.#options.topic}/${isLog ? 'logs' : 'sensors'}/${machine}`
    const payload = isLog ? `${this.#logLine(machine)}\n${this.#logLine(machine)}` : this.#reading(machine)
    this.#client.publish(topic, payload, { qos: 1 }, () => this.#acknowledged++)
  }

  #reading(machine: string): string {
    return `${machine} ${pick(quantities, this.#random())} ${20 + (this.#random() % 60)}`
  }

  #logLine(machine: string): string {
    return `${pick(levels, this.#random())} ${machine} ${pick(events, this.#random())}`
  }

  /** The same plant every time: a linear congruential generator, of which the upper bits are used. */
  #random(): number {
    this.#seed = (Math.imul(this.#seed, 1103515245) + 12345) >>> 0
    return this.#seed >>> 16
  }
}

const machines = ['pump', 'valve', 'press', 'oven', 'mill'] as const
const quantities = ['temperature', 'pressure', 'flow', 'speed'] as const
const levels = ['INFO', 'INFO', 'INFO', 'WARN', 'ERROR'] as const
const events = ['started', 'stopped', 'ready', 'filter clogged', 'calibrated', 'door open', 'limit reached'] as const

function pick<T>(list: readonly T[], random: number): T {
  return list[random % list.length]!
}
