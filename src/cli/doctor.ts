/** `millrace doctor`: looks at the machine and says what works, what is missing, and what to do about it. */
import { spawnSync } from 'node:child_process'
import { Conf } from '../conf.js'
import { ambientLayers } from '../conf-sources.js'
import { findSparkHome, sparkCache, sparkVersion } from '../engine/spark/spark-home.js'
import { installSpark, SPARK_VERSION_DEFAULT, testedSparkVersions } from '../engine/spark/spark-install.js'
import type { MillraceError } from '../errors.js'
import { type BrokerAddress, parseBrokerUrl } from '../mqtt/broker-url.js'
import { type Command, type Given, UsageError } from './command.js'
import { findMosquitto } from './demo-broker.js'

/** What one look found. `absent` is for parts that some jobs do without. */
interface Finding {
  readonly what: string
  readonly state: 'ok' | 'absent' | 'broken'
  readonly text: string
}

export const doctor: Command = {
  name: 'doctor',
  summary: 'look at this machine and say what works and what is missing',
  positionals: '',
  options: {
    broker: { type: 'string', placeholder: 'URL', help: 'also connect to this MQTT broker' },
    'install-spark': { type: 'boolean', help: 'first fetch the jars of Spark from Maven Central; needs Maven (mvn)' },
    'spark-version': {
      type: 'string',
      placeholder: 'V',
      help: `which Spark to fetch, ${testedSparkVersions[0]} or newer; ${SPARK_VERSION_DEFAULT} when left out`,
    },
  },
  notes: 'The status is 0 when everything that every job needs works, else 1.',
  async run(given: Given): Promise<number> {
    const broker = given.text('broker')
    const version = given.text('spark-version')
    if (version !== null && !given.flag('install-spark'))
      throw new UsageError('--spark-version says what --install-spark fetches: give both.')
    if (given.flag('install-spark'))
      await installSpark(version ?? SPARK_VERSION_DEFAULT, sparkCache(), (text) => console.log(text))
    const findings = [
      node(),
      await esbuild(),
      configuration(),
      mosquitto(),
      java(),
      spark(),
      ...(broker === null ? [] : [await brokerAnswers(broker)]),
    ]
    const marks = { ok: 'ok     ', absent: 'absent ', broken: 'BROKEN ' }
    for (const { what, state, text } of findings) console.log(`${marks[state]} ${what.padEnd(14)} ${text}`)
    return findings.some(({ state }) => state === 'broken') ? 1 : 0
  },
}

function node(): Finding {
  const [major, minor] = process.versions.node.split('.').map(Number) as [number, number]
  const fits = major > 20 || (major === 20 && minor >= 19)
  const text = `${process.version} at ${process.execPath}`
  return { what: 'Node', state: fits ? 'ok' : 'broken', text: fits ? text : `${text}; install Node 20.19 or newer` }
}

async function esbuild(): Promise<Finding> {
  try {
    const { transform, version } = await import('esbuild')
    await transform('let x: number = 1', { loader: 'ts' })
    return { what: 'esbuild', state: 'ok', text: `${version}, compiles jobs` }
  } catch (error) {
    return { what: 'esbuild', state: 'broken', text: `${(error as Error).message}; install the packages again: npm ci` }
  }
}

function configuration(): Finding {
  try {
    const set = Conf.from(...ambientLayers()).describe()
    return { what: 'configuration', state: 'ok', text: set.length === 0 ? 'all defaults' : set.join(', ') }
  } catch (error) {
    return { what: 'configuration', state: 'broken', text: (error as MillraceError).message }
  }
}

function mosquitto(): Finding {
  const path = findMosquitto()
  return path === null
    ? { what: 'Mosquitto', state: 'absent', text: 'demo uses a broker of its own; Debian has the package mosquitto' }
    : { what: 'Mosquitto', state: 'ok', text: path }
}

function java(): Finding {
  const { error, stderr } = spawnSync('java', ['-version'], { encoding: 'utf8' })
  if (error !== undefined) {
    return {
      what: 'Java',
      state: 'absent',
      text: 'needed for Spark only; Debian has the package openjdk-17-jre-headless',
    }
  }
  const version = /version "(\d+)[^"]*"/.exec(stderr)
  const line = stderr.split('\n').find((text) => text.includes('version "')) ?? stderr.trim()
  if (version === null || Number(version[1]) < 17) {
    return { what: 'Java', state: 'absent', text: `${line} is too old for Spark here; Java 17 or newer is needed` }
  }
  return { what: 'Java', state: 'ok', text: line }
}

function spark(): Finding {
  const what = 'Spark'
  try {
    const home = findSparkHome()
    return { what, state: 'ok', text: `${sparkVersion(home)} in ${home}` }
  } catch (error) {
    if ((process.env.SPARK_HOME ?? '') !== '') return { what, state: 'broken', text: (error as MillraceError).message }
    const text = 'needed only for masters of Spark; millrace doctor --install-spark fetches it, or set SPARK_HOME'
    return { what, state: 'absent', text }
  }
}

async function brokerAnswers(url: string): Promise<Finding> {
  const what = 'broker'
  let address: BrokerAddress
  try {
    address = parseBrokerUrl(url).address
  } catch (error) {
    return { what, state: 'broken', text: (error as MillraceError).message }
  }
  try {
    const { connectAsync } = await import('mqtt')
    const client = await connectAsync(url, { reconnectPeriod: 0, connectTimeout: 5000 })
    await client.endAsync()
    return { what, state: 'ok', text: `${address.text} accepts connections` }
  } catch (error) {
    // The address may hold a password; the error's text comes from the system or the broker and does not.
    return {
      what,
      state: 'broken',
      text: `cannot connect: ${(error as Error).message || (error as { code?: string }).code}`,
    }
  }
}
