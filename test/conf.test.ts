/** Configuration: reading, checking, and the order of strength of its sources. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { Conf } from '../src/conf.js'
import { type ConfKey, confKeys } from '../src/conf-keys.js'
import { ambientLayers, argumentsLayer, environmentLayer, environmentName, fileLayer } from '../src/conf-sources.js'

const directory = mkdtempSync(join(tmpdir(), 'millrace-conf-'))
afterAll(() => rmSync(directory, { recursive: true }))

function file(name: string, text: string): string {
  const path = join(directory, name)
  writeFileSync(path, text)
  return path
}

describe('Conf', () => {
  it('gives the default of every key nobody set', () => {
    const conf = Conf.from()
    expect(conf.get('spark.streaming.blockInterval')).toBe(200)
    expect(conf.get('spark.streaming.receiver.maxRate')).toBeNull()
    expect(conf.get('spark.streaming.backpressure.enabled')).toBe(false)
    for (const key of Object.keys(confKeys) as ConfKey[]) expect(conf.get(key)).toBe(confKeys[key].default)
  })

  it.each<[ConfKey, unknown, unknown]>([
    ['spark.streaming.blockInterval', '50ms', 50],
    ['spark.streaming.blockInterval', '2s', 2000],
    ['spark.streaming.blockInterval', 75, 75],
    ['spark.streaming.receiverRestartDelay', '100', 100],
    ['spark.streaming.receiver.blockStoreTimeout', '5', 5000],
    ['spark.streaming.receiver.blockStoreTimeout', '5ms', 5],
    ['spark.streaming.receiver.maxRate', '1000', 1000],
    ['spark.streaming.backpressure.pid.integral', '0.5', 0.5],
    ['spark.streaming.backpressure.enabled', 'true', true],
    ['spark.streaming.unpersist', false, false],
    ['spark.broadcast.blockSize', '2m', 2 * 1024 * 1024],
    ['spark.broadcast.blockSize', '512kb', 512 * 1024],
    ['millrace.batch.failurePolicy', 'skip', 'skip'],
  ])('reads %s=%s', (key, value, expected) => {
    expect(Conf.from({ [key]: value }).get(key)).toBe(expected)
  })

  it.each<[ConfKey, unknown, string]>([
    ['spark.streaming.blockInterval', 'soon', 'expected a duration'],
    ['spark.streaming.blockInterval', '-1', 'expected a duration'],
    ['spark.streaming.blockInterval', null, 'expected a duration'],
    ['spark.streaming.receiver.maxRate', '1.5', 'expected a whole number'],
    ['spark.streaming.receiver.maxRate', '', 'expected a whole number'],
    ['spark.streaming.backpressure.pid.integral', 'NaN', 'expected a number'],
    ['spark.streaming.backpressure.enabled', 'yes', 'expected true or false'],
    ['spark.broadcast.blockSize', '2 furlongs', 'expected a size'],
    ['millrace.batch.failurePolicy', 'ignore', 'expected one of stop, retry, skip'],
  ])('refuses %s=%s', (key, value, expected) => {
    expect(() => Conf.from({ [key]: value })).toThrow(expect.objectContaining({ code: 'INVALID_CONF' }))
    expect(() => Conf.from({ [key]: value })).toThrow(expected)
    expect(() => Conf.from({ [key]: value })).toThrow(key)
  })

  it.each([
    ['spark.streaming.blokInterval', 'spark.streaming.blockInterval'],
    ['spark.steaming.blockInterval', 'spark.streaming.blockInterval'],
    ['spark.streaming.backpresure.enabled', 'spark.streaming.backpressure.enabled'],
    ['spark.streaming.receiver.writeaheadlog.enabled', 'spark.streaming.receiver.writeAheadLog.enable'],
  ])('names the key nearest to %s', (slip, meant) => {
    expect(() => Conf.from({ [slip]: '1' })).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_CONF_KEY', message: expect.stringContaining(`Did you mean ${meant}?`) }),
    )
  })

  it('names no key when none is near', () => {
    expect(() => Conf.from({ colour: 'red' })).toThrow(/is not a configuration key\. docs\/configuration\.md/)
  })

  it('does not take a property every object has for a key', () => {
    expect(() => Conf.from({ constructor: 'x' })).toThrow(expect.objectContaining({ code: 'UNKNOWN_CONF_KEY' }))
  })

  it('lets the first layer win, and checks the others too', () => {
    const key = 'spark.streaming.blockInterval'
    expect(Conf.from({ [key]: 1 }, { source: '--conf', values: { [key]: 2 } }).get(key)).toBe(1)
    expect(Conf.from({ [key]: undefined }, { source: '--conf', values: { [key]: 2 } }).get(key)).toBe(2)
    expect(() => Conf.from({ [key]: 1 }, { source: 'a file', values: { [key]: 'never' } })).toThrow('from a file')
  })

  it('takes a Conf as a layer', () => {
    const weaker = Conf.from({ 'spark.task.maxFailures': 7, 'spark.streaming.blockInterval': 10 })
    const conf = Conf.from({ 'spark.streaming.blockInterval': 20 }, weaker)
    expect(conf.toObject()).toEqual({ 'spark.task.maxFailures': '7', 'spark.streaming.blockInterval': '20' })
    expect(Conf.from(conf.toObject()).toObject()).toEqual(conf.toObject())
  })

  it('round-trips durations whose bare number counts seconds', () => {
    const conf = Conf.from({ 'spark.streaming.receiver.blockStoreTimeout': 7 })
    expect(conf.get('spark.streaming.receiver.blockStoreTimeout')).toBe(7000)
    expect(Conf.from(conf).get('spark.streaming.receiver.blockStoreTimeout')).toBe(7000)
    expect(Conf.from(conf.toObject()).get('spark.streaming.receiver.blockStoreTimeout')).toBe(7000)
  })

  it('knows the names earlier releases of Spark used', () => {
    const conf = Conf.from({ 'spark.streaming.minRememberDuration': '30s' })
    expect(conf.get('spark.streaming.fileStream.minRememberDuration')).toBe(30_000)
  })

  it('passes on the families only Spark reads, unchanged', () => {
    const conf = Conf.from({ 'spark.kubernetes.namespace': 'mills', 'spark.executor.memory': '2g' })
    expect(conf.toObject()).toEqual({ 'spark.kubernetes.namespace': 'mills', 'spark.executor.memory': '2g' })
    expect(conf.withoutEffectOn('embedded')).toEqual(['spark.kubernetes.namespace', 'spark.executor.memory'])
    expect(conf.withoutEffectOn('spark')).toEqual([])
  })

  it('hides what may be a secret from descriptions and errors', () => {
    const conf = Conf.from({ 'spark.ssl.keyPassword': 'hunter2', 'spark.task.maxFailures': 2 })
    expect(conf.describe()).toEqual([
      "spark.ssl.keyPassword=(hidden) (from the job's code)",
      "spark.task.maxFailures=2 (from the job's code)",
    ])
  })
})

describe('sources of configuration', () => {
  it('reads --conf arguments, the value running to the end', () => {
    expect(argumentsLayer(['spark.app.name=a=b', 'spark.app.name=c']).values).toEqual({ 'spark.app.name': 'c' })
    expect(argumentsLayer(['spark.app.name=a=b']).values).toEqual({ 'spark.app.name': 'a=b' })
    expect(() => argumentsLayer(['spark.app.name'])).toThrow(expect.objectContaining({ code: 'INVALID_CONF' }))
  })

  it('reads a file of the form of spark-defaults.conf', () => {
    const path = file(
      'a.conf',
      '# comment\n\nspark.app.name   two words \nspark.ui.port=4041\r\nspark.task.maxFailures = 2\n',
    )
    expect(fileLayer(path).values).toEqual({
      'spark.app.name': 'two words',
      'spark.ui.port': '4041',
      'spark.task.maxFailures': '2',
    })
  })

  it('names the line of a file it cannot read', () => {
    expect(() => fileLayer(file('b.conf', 'spark.app.name x\nspark.ui.port\n'))).toThrow(/b\.conf:2 /)
  })

  it('reads a JSON file', () => {
    expect(fileLayer(file('c.json', '{"spark.ui.port": 4041}')).values).toEqual({ 'spark.ui.port': 4041 })
    expect(() => fileLayer(file('d.json', '[1]'))).toThrow(expect.objectContaining({ code: 'INVALID_CONF' }))
    expect(() => fileLayer(file('e.json', '{'))).toThrow(expect.objectContaining({ code: 'INVALID_CONF' }))
    expect(() => fileLayer(join(directory, 'none'))).toThrow(expect.objectContaining({ code: 'FILE_NOT_FOUND' }))
  })

  it('reads the environment, and refuses a variable that names no key', () => {
    const { values } = environmentLayer({ MILLRACE_CONF_SPARK_STREAMING_BLOCK_INTERVAL: '1s', HOME: '/root' })
    expect(values).toEqual({ 'spark.streaming.blockInterval': '1s' })
    expect(() => environmentLayer({ MILLRACE_CONF_SPARK_STREAMING_BLOK: '1' })).toThrow(
      expect.objectContaining({ code: 'UNKNOWN_CONF_KEY' }),
    )
  })

  it('has a variable of its own for every key', () => {
    const names = (Object.keys(confKeys) as ConfKey[]).map(environmentName)
    expect(new Set(names).size).toBe(names.length)
  })

  it('puts code before --conf, --conf before the file, the file before the environment', () => {
    const path = file('order.conf', 'spark.ui.port 3\nspark.task.maxFailures 3\n')
    const environment = {
      MILLRACE_CONF_FILE: path,
      MILLRACE_CONF_SPARK_UI_PORT: '4',
      MILLRACE_CONF_SPARK_TASK_MAX_FAILURES: '4',
      MILLRACE_CONF_SPARK_STREAMING_BLOCK_QUEUE_SIZE: '4',
      MILLRACE_CONF_SPARK_STREAMING_CONCURRENT_JOBS: '4',
    }
    const conf = Conf.from(
      { 'spark.streaming.concurrentJobs': 1 },
      argumentsLayer(['spark.streaming.concurrentJobs=2', 'spark.ui.port=2']),
      ...ambientLayers(environment, directory),
    )
    expect(conf.get('spark.streaming.concurrentJobs')).toBe(1)
    expect(conf.get('spark.ui.port')).toBe(2)
    expect(conf.get('spark.task.maxFailures')).toBe(3)
    expect(conf.get('spark.streaming.blockQueueSize')).toBe(4)
  })

  it('finds millrace.conf in the directory it is started in', () => {
    file('millrace.conf', 'spark.app.name found\n')
    expect(Conf.from(...ambientLayers({}, directory)).get('spark.app.name')).toBe('found')
  })
})
