/** `millrace submit` before a cluster is asked: what it refuses, and what it writes. */
import { createHash } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { cli, files } from './cli.js'

const job = (settings = ''): string => `
import { defineJob } from 'millrace'
export default defineJob({ name: 'a job', batchInterval: '1s'${settings} }, (ssc) => ssc.queueStream([[1]]).print())
`

/** A directory that looks like a Spark, whose spark-submit only says what it was given. */
function fakeSpark(): Record<string, string> {
  return {
    'spark/jars/spark-core_2.13-4.2.0.jar': '',
    'spark/conf/spark-defaults.conf': 'spark.executor.cores 3\n',
    'spark/bin/spark-submit': '#!/bin/sh\necho "$@"\nwhile [ "$1" != --properties-file ]; do shift; done\ncat "$2"\n',
  }
}

async function submit(
  args: readonly string[],
  { settings = '', env = {} as Record<string, string> } = {},
): ReturnType<typeof cli> {
  const directory = files({ 'job.ts': job(settings), ...fakeSpark() })
  const { chmodSync } = await import('node:fs')
  chmodSync(join(directory, 'spark/bin/spark-submit'), 0o755)
  const spark = join(directory, 'spark')
  return cli(['submit', ...args], {
    cwd: directory,
    env: { SPARK_HOME: spark, XDG_CACHE_HOME: join(directory, 'cache'), ...env },
  })
}

it.each([
  [['job.ts'], /--master is missing, such as --master spark:\/\/host:7077/],
  [
    ['job.ts', '--master', 'local[2]'],
    /--master local\[2\] is not a cluster of Spark's\. Expected spark:\/\/host:port/,
  ],
  [['job.ts', '--master', 'spark://'], /--master spark:\/\/ is not a cluster/],
  [['job.ts', '--master', 'yarn', '--deploy-mode', 'remote'], /--deploy-mode remote is neither client nor cluster/],
  [['job.ts', '--master', 'local-cluster[2,1,1024]'], /its driver can only be here too: --deploy-mode client/],
  [['job.ts', '--master', 'yarn', '--supervise'], /--supervise is for standalone clusters/],
  [[], /job file is missing/],
])('refuses %j with status 2 and says what is wrong', async (args, text) => {
  const { status, stderr } = await submit(args)
  expect(stderr).toMatch(text)
  expect(status).toBe(2)
})

it.each([
  [
    'a job that sets its master in code',
    { settings: ", conf: { 'spark.master': 'local' }" },
    /INVALID_CONF: The job sets spark\.master \(local\) in its own code/,
  ],
  ['a machine without Spark', { env: { SPARK_HOME: '' } }, /SPARK_NOT_FOUND: There is no Spark here\. Set SPARK_HOME/],
  [
    'a SPARK_HOME that holds none',
    { env: { SPARK_HOME: '/nowhere' } },
    /SPARK_NOT_FOUND: SPARK_HOME is \/nowhere, where there is no directory jars/,
  ],
  ['a setting nobody knows', { env: { MILLRACE_CONF_SPARK_STREAMING_BLOK: '1' } }, /UNKNOWN_CONF_KEY/],
])('refuses %s with status 1', async (_, options, text) => {
  const { status, stderr } = await submit(['job.ts', '--master', 'yarn'], options)
  expect(stderr).toMatch(text)
  expect(status).toBe(1)
})

it('gives spark-submit a jar named by its content, and settings in a file, behind those of the cluster', async () => {
  const directory = files({ 'job.ts': job(", conf: { 'spark.streaming.blockInterval': '50ms' }"), ...fakeSpark() })
  const { chmodSync } = await import('node:fs')
  chmodSync(join(directory, 'spark/bin/spark-submit'), 0o755)
  const env = { SPARK_HOME: join(directory, 'spark'), XDG_CACHE_HOME: join(directory, 'cache') }
  const args = ['submit', 'job.ts', '--master', 'yarn', '--conf', 'spark.ssl.keyPassword=hush', '--batches', '3']
  const { status, stdout } = await cli(args, { cwd: directory, env })
  expect(status).toBe(0)
  const [jar] = readdirSync(join(directory, 'cache/millrace/jobs'))
  const path = join(directory, 'cache/millrace/jobs', jar!)
  const hash = createHash('sha256').update(readFileSync(path)).digest('hex').slice(0, 16)
  expect(jar).toBe(`a-job-${hash}.jar`)
  const [line, ...properties] = stdout.split('\n')
  expect(line).toMatch(/^--class io\.millrace\.bridge\.Main --name a job --master yarn --deploy-mode cluster /)
  expect(line).toContain(`${path} drive`)
  expect(line).not.toContain('hush')
  expect(properties.slice(0, 1)).toEqual(['spark.executor.cores 3'])
  expect(properties).toEqual(
    expect.arrayContaining([
      'spark.streaming.blockInterval=50ms',
      'spark.millrace.batches=3',
      'spark.ssl.keyPassword=hush',
    ]),
  )
})
