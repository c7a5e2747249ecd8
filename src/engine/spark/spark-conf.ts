/** The settings as Spark spells them. Millrace takes a unit after every duration and counts milliseconds without one; Spark differs from key to key. */
import type { Conf } from '../../conf.js'
import { type ConfKey, confKeys } from '../../conf-keys.js'

/** Spark reads these as plain whole numbers of milliseconds; with a unit, a receiver would fail at every start. */
const plainMilliseconds: ReadonlySet<string> = new Set<ConfKey>([
  'spark.streaming.receiverRestartDelay',
  'spark.streaming.driver.writeAheadLog.batchingTimeout',
  'spark.streaming.manualClock.jump',
])

/** What was set of Spark's keys, each value in the form Spark reads. */
export function sparkConf(conf: Conf): Record<string, string> {
  const set = Object.entries(conf.toObject()).filter(([key]) => key.startsWith('spark.'))
  return Object.fromEntries(set.map(([key, text]) => [key, isKnown(key) ? spelled(conf, key) : text]))
}

function isKnown(key: string): key is ConfKey {
  return Object.hasOwn(confKeys, key)
}

function spelled(conf: Conf, key: ConfKey): string {
  const value = conf.get(key)
  switch (confKeys[key].kind) {
    case 'duration':
      return plainMilliseconds.has(key) ? String(value) : `${value}ms`
    case 'seconds':
      return String(Math.ceil(Number(value) / 1000))
    case 'bytes':
      return `${value}b`
    default:
      return String(value)
  }
}
