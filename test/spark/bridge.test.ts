/** The Java side alone: one jar on every Spark (the oldest and the newest without a budget), tasks, shuffles, failures and ends. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { NodePartitionValue } from '../../src/engine/spark/protocol.js'
import { MillraceError } from '../../src/errors.js'
import { childrenOf, eventually, isAlive } from './processes.js'
import { openSpark, removeDirectories, type SparkDriver, temporaryDirectory, versions } from './spark-driver.js'

afterAll(removeDirectories)

/** A stage in the script worker's language. */
const stage = (body: string): Uint8Array => Buffer.from(body)
const slices = (...payloads: string[]): NodePartitionValue[] => payloads.map((text) => [[], [], Buffer.from(text)])
const oneToOne = (partitions: number): NodePartitionValue[] =>
  Array.from({ length: partitions }, (_, partition) => [[0], [partition], null])
const wordsByLength = stage(`
  return inputs.flat().flatMap((chunk) => String(chunk).split(' ')).map((word) => {
    const head = Buffer.alloc(4)
    head.writeInt32BE(word.length % 2)
    return Buffer.concat([head, Buffer.from(word)])
  })`)

for (const version of versions) {
  describe(`The bridge jar on Spark ${version}`, { timeout: 600_000 }, () => {
    let spark: SparkDriver
    beforeAll(async () => {
      spark = await openSpark({ version })
    }, 600_000)
    afterAll(() => spark.stop())

    it('opens a context of that Spark', () => {
      expect(spark.facts[0]).toBe(version)
      expect(spark.facts[2]).toBe(2)
    })

    it('runs stages in Node workers and moves chunks to the partitions that Node chose', async () => {
      const chunks = await spark.collect([
        ['node', 1, [], slices('a bb ccc', 'dddd eeeee'), stage('return [task.payload]'), 'slices'],
        ['node', 2, [1], oneToOne(2), wordsByLength, 'words'],
        ['shuffle', 3, 2, 2],
        [
          'node',
          4,
          [3],
          oneToOne(2),
          stage('return [inputs[0].map((c) => String(c.subarray(4))).sort().join()]'),
          'out',
        ],
        ['collect', 4, null],
      ])
      expect(chunks).toEqual(['0:bb,dddd', '1:a,ccc,eeeee'])
    })

    it('gives a task any partitions of any parents, in the order asked for', async () => {
      const echo = stage('return [inputs.map((chunks) => chunks.join("")).join("|")]')
      const chunks = await spark.collect([
        ['node', 1, [], slices('a', 'b', 'c'), stage('return [task.payload]'), 'left'],
        ['node', 2, [], slices('x', 'y'), stage('return [task.payload]'), 'right'],
        [
          'node',
          3,
          [1, 2],
          [
            [[1, 0, 0], [1, 2, 0], null],
            [[1], [0], null],
            [[], [], null],
          ],
          echo,
          'mixed',
        ],
        ['collect', 3, [0, 1, 2]],
      ])
      expect(chunks).toEqual(['0:y|c|a', '1:x', '2:'])
    })

    it('brings the report of every finished task to the driver, once', async () => {
      const { value } = await spark.connection.call([
        [
          'node',
          1,
          [],
          slices('p', 'q'),
          stage('task.report = Buffer.from("done " + task.payload); return []'),
          'reports',
        ],
        ['collect', 1, null],
      ])
      expect((value as Uint8Array[]).map(String).sort()).toEqual(['done p', 'done q'])
      expect((await spark.connection.call([['collect', 1, []]])).value).toEqual([])
    })

    it('gives the error of a function as Node threw it, and the worker goes on', async () => {
      const failing = spark.connection.call([
        [
          'node',
          1,
          [],
          slices('x'),
          stage('throw Object.assign(new RangeError("bad record " + task.payload))'),
          'failing',
        ],
        ['collect', 1, null],
      ])
      await expect(failing).rejects.toMatchObject({ name: 'RangeError', message: 'bad record x' })
      const pid = stage('return [String(process.pid)]')
      const before = await spark.collect([
        ['node', 2, [], slices(''), pid, 'pid'],
        ['collect', 2, null],
      ])
      const after = await spark.collect([
        ['node', 3, [], slices(''), pid, 'pid'],
        ['collect', 3, null],
      ])
      expect(after).toEqual(before)
    })

    it('names an operation it does not have', async () => {
      const unknown = spark.connection.call([['fly'] as never])
      await expect(unknown).rejects.toSatisfy((error) => MillraceError.is(error, 'SPARK_FAILED'))
      await expect(unknown).rejects.toThrow('has no operation fly')
    })

    it('keeps a persisted RDD, so that its stage runs once', async () => {
      const counting = stage('globalThis.runs = (globalThis.runs ?? 0) + 1; return [String(globalThis.runs)]')
      await spark.connection.call([
        ['node', 1, [], slices('x'), counting, 'counted'],
        ['persist', 1, [true, true, false, true, 1]],
      ])
      const first = await spark.collect([['collect', 1, null]])
      expect(await spark.collect([['collect', 1, null]])).toEqual(first)
      await spark.connection.call([
        ['unpersist', 1],
        ['drop', [1]],
      ])
      await expect(spark.connection.call([['collect', 1, null]])).rejects.toThrow('no RDD with handle 1')
    })

    it('reads back an RDD from a checkpoint with the same partitions', async () => {
      const directory = await checkpoint(spark)
      expect(
        await spark.collect([
          ['restore', 6, directory],
          ['collect', 6, null],
        ]),
      ).toEqual(['0:one', '1:two'])
      await spark.connection.call([['delete', directory]])
      expect((await spark.connection.call([['list', directory]])).value).toEqual([])
    })

    it('writes whole small files for the state of the driver', async () => {
      const path = `${temporaryDirectory()}/below/state.json`
      await spark.connection.call([['write', path, Buffer.from('1')]])
      await spark.connection.call([['write', path, Buffer.from('2')]])
      expect(String((await spark.connection.call([['read', path]])).value)).toBe('2')
      expect((await spark.connection.call([['list', path.replace('/state.json', '')]])).value).toContain('state.json')
      await spark.connection.call([['delete', path.replace('/state.json', '')]])
      expect((await spark.connection.call([['read', path]])).value).toBeNull()
    })
  })
}

async function checkpoint(spark: SparkDriver): Promise<string> {
  const directory = `${temporaryDirectory()}/checkpoint`
  await spark.connection.call([
    ['node', 5, [], slices('one', 'two'), stage('return [task.payload]'), 'kept'],
    ['checkpoint', 4, 5, directory, false],
  ])
  expect(await spark.collect([['collect', 4, null]])).toEqual(['0:one', '1:two'])
  return directory
}

describe('Ends of the bridge', { timeout: 600_000 }, () => {
  it('a closed link ends the JVM and its Node workers', async () => {
    const spark = await openSpark()
    await spark.collect([
      ['node', 1, [], slices('x'), stage('return []'), 'x'],
      ['collect', 1, null],
    ])
    const workers = childrenOf(spark.pid)
    expect(workers).toHaveLength(1)
    await spark.stop()
    expect(isAlive(spark.pid)).toBe(false)
    await eventually(() => !workers.some(isAlive))
  })

  it('a killed JVM rejects waiting calls, and its Node workers end', async () => {
    const spark = await openSpark()
    const waiting = spark.connection.call([
      ['node', 1, [], slices('x'), stage('return new Promise(() => {})'), 'x'],
      ['collect', 1, null],
    ])
    const worker = await eventually(() => childrenOf(spark.pid)[0])
    process.kill(spark.pid, 'SIGKILL')
    await expect(waiting).rejects.toThrow('by signal SIGKILL')
    await expect(waiting).rejects.toSatisfy((error) => MillraceError.is(error, 'SPARK_FAILED'))
    await eventually(() => !isAlive(worker))
  })

  it('a task whose worker is killed is tried again on another', async () => {
    const spark = await openSpark({ master: 'local[2,2]' })
    const dieOnce = stage('if (task.attempt === 0) process.kill(process.pid, "SIGKILL"); return ["alive"]')
    const chunks = await spark.collect([
      ['node', 1, [], slices('x'), dieOnce, 'x'],
      ['collect', 1, null],
    ])
    expect(chunks).toEqual(['0:alive'])
    await spark.stop()
  })
})
