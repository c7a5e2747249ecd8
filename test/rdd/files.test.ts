/** RDDs read from files, written to files and piped through commands. In this thread, as a script runs them; test/engine/operations.test.ts holds threads to what they give here. */
import { mkdirSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { gunzipSync, gzipSync } from 'node:zlib'
import fc from 'fast-check'
import { MillraceError, StreamingContext } from 'millrace'
import { describe, expect, test } from 'vitest'
import { temporaryDirectory } from '../support/streams.js'

const sc = new StreamingContext({ appName: 'files', batchInterval: '1s', conf: { 'spark.default.parallelism': 2 } })
  .sparkContext
const budget = Number(process.env.MILLRACE_BUDGET ?? 1)
const withCode = (code: string) => (error: unknown) => MillraceError.is(error) && error.code === code

describe('reading', () => {
  test('lines end at LF or CRLF, the last one at the end of the file', async () => {
    const file = join(temporaryDirectory(), 'a.txt')
    writeFileSync(file, 'one\r\ntwo\n\nfour')
    expect(await sc.textFile(file, 1).collect()).toEqual(['one', 'two', '', 'four'])
    writeFileSync(file, '')
    expect(await sc.textFile(file).collect()).toEqual([])
  })

  test('every line is read exactly once, however the file is cut', async () => {
    const file = join(temporaryDirectory(), 'cut.txt')
    const lines = fc.array(fc.oneof(fc.string({ maxLength: 12 }), fc.constant('äöü€'), fc.constant('')), {
      maxLength: 30,
    })
    await fc.assert(
      fc.asyncProperty(lines, fc.integer({ min: 1, max: 40 }), fc.boolean(), async (given, parts, endsWithNewline) => {
        const lines = given.map((line) => line.replaceAll(/[\r\n]/g, '_'))
        const content = lines.join('\n') + (endsWithNewline ? '\n' : '')
        writeFileSync(file, content)
        const expected = content.split('\n')
        if (expected.at(-1) === '') expected.pop()
        expect(await sc.textFile(file, parts).collect()).toEqual(expected)
      }),
      { numRuns: 100 * budget },
    )
  })

  test('lines longer than what is read at once', async () => {
    const file = join(temporaryDirectory(), 'long.txt')
    const long = ['a'.repeat(700_000), 'b', 'c'.repeat(300_000), 'd']
    writeFileSync(file, long.join('\n'))
    for (const parts of [1, 2, 7]) expect(await sc.textFile(file, parts).collect()).toEqual(long)
  })

  test('a directory, a pattern, a list; hidden files and unknown names', async () => {
    const directory = temporaryDirectory()
    for (const name of ['b.log', 'a.log', 'c.txt', '_SUCCESS', '.hidden']) writeFileSync(join(directory, name), name)
    mkdirSync(join(directory, 'sub'))
    writeFileSync(join(directory, 'sub', 'd.log'), 'd.log')
    const read = (path: string): Promise<string[]> => sc.textFile(path).collect()
    expect(await read(directory)).toEqual(['a.log', 'b.log', 'c.txt'])
    expect(await read(`${directory}/*.log`)).toEqual(['a.log', 'b.log'])
    expect(await read(`${directory}/{a,c}.*`)).toEqual(['a.log', 'c.txt'])
    expect(await read(`${directory}/[!a].log,${directory}/*/d.log`)).toEqual(['b.log', 'd.log'])
    expect(await read(`${directory}/?.txt`)).toEqual(['c.txt'])
    expect(() => sc.textFile(`${directory}/none*`)).toThrow(MillraceError)
  })

  test('compressed files, whole files, bytes and records of one length', async () => {
    const directory = temporaryDirectory()
    writeFileSync(join(directory, 'x.gz'), gzipSync('one\ntwo\n'))
    writeFileSync(join(directory, 'y.bin'), Buffer.from([1, 2, 3, 4, 5, 6]))
    expect(await sc.textFile(join(directory, 'x.gz'), 4).collect()).toEqual(['one', 'two'])
    expect(await sc.wholeTextFiles(join(directory, 'x.gz')).collect()).toEqual([
      [join(directory, 'x.gz'), 'one\ntwo\n'],
    ])
    const [[path, bytes] = ['', new Uint8Array()]] = await sc.binaryFiles(join(directory, 'y.bin')).collect()
    expect([path, [...bytes]]).toEqual([join(directory, 'y.bin'), [1, 2, 3, 4, 5, 6]])
    const records = await sc.binaryRecords(join(directory, 'y.bin'), 2).collect()
    expect(records.map((record) => [...record])).toEqual([
      [1, 2],
      [3, 4],
      [5, 6],
    ])
    await expect(sc.binaryRecords(join(directory, 'y.bin'), 4).collect()).rejects.toThrow('record length')
    expect(() => sc.binaryRecords(directory, 0)).toThrow(MillraceError)
  })
})

describe('writing', () => {
  test('a partition a file, a mark when complete, and nothing else', async () => {
    const path = join(temporaryDirectory(), 'out')
    await sc.parallelize(['a', 'b', 'c'], 2).saveAsTextFile(path)
    expect(readdirSync(path)).toEqual(['_SUCCESS', 'part-00000', 'part-00001'])
    expect(readFileSync(join(path, 'part-00001'), 'utf8')).toBe('b\nc\n')
    expect(await sc.textFile(path).collect()).toEqual(['a', 'b', 'c'])
    expect(readdirSync(join(path, '..'))).toEqual(['out'])
  })

  test('what is there is not touched, unless it may be replaced', async () => {
    const path = join(temporaryDirectory(), 'out')
    await sc.parallelize(['old', 'old'], 2).saveAsTextFile(path)
    await expect(sc.parallelize(['new']).saveAsTextFile(path)).rejects.toSatisfy(withCode('OUTPUT_EXISTS'))
    await sc.parallelize(['new'], 1).saveAsTextFile(path, { overwrite: true, gzip: true })
    expect(readdirSync(path)).toEqual(['_SUCCESS', 'part-00000.gz'])
    expect(gunzipSync(readFileSync(join(path, 'part-00000.gz'))).toString()).toBe('new\n')
    expect(readdirSync(join(path, '..'))).toEqual(['out'])
  })

  test('a task that fails leaves nothing behind', async () => {
    const path = join(temporaryDirectory(), 'out')
    const failing = sc.parallelize([1, 2, 3], 3).map((n) => {
      if (n === 3) throw new Error('no')
      return n
    })
    await expect(failing.saveAsTextFile(path)).rejects.toThrow('no')
    await expect(sc.parallelize(['a', null]).saveAsTextFile(path)).rejects.toThrow('no line for null')
    expect(readdirSync(join(path, '..'))).toEqual([])
  })

  test('JSON lines, and objects that come back equal', async () => {
    const directory = temporaryDirectory()
    const records = [{ at: new Date(5), map: new Map([[1, 'x']]), n: -0 }, [1, [2, null]], 'text']
    await sc.parallelize(records, 2).saveAsObjectFile(join(directory, 'objects'))
    expect(await sc.objectFile(join(directory, 'objects')).collect()).toEqual(records)
    await sc.parallelize([{ a: 1 }, null, [2, 'b']], 1).saveAsJsonFile(join(directory, 'json'))
    expect(readFileSync(join(directory, 'json', 'part-00000'), 'utf8')).toBe('{"a":1}\nnull\n[2,"b"]\n')
  })
})

describe('pipe', () => {
  test('feeds each partition to a command and gives the lines it prints', async () => {
    const rdd = sc.parallelize(['b', 'a', 'd', 'c'], 2)
    expect(await rdd.pipe('sort').collect()).toEqual(['a', 'b', 'c', 'd'])
    expect(await rdd.pipe(['sh', '-c', 'head -n 1; echo $NAME'], { NAME: 'x' }).collect()).toEqual(['b', 'x', 'd', 'x'])
  })

  test('a command that fails fails the task, with what it said', async () => {
    await expect(sc.parallelize(['a']).pipe('echo wrong >&2; exit 3').collect()).rejects.toThrow(/code 3: wrong/)
    await expect(sc.parallelize(['a']).pipe(['no-such-command']).collect()).rejects.toThrow('no-such-command')
  })

  test('a command that stops reading does not stop the job', async () => {
    const many = sc.parallelize(
      Array.from({ length: 50_000 }, (_, i) => `line ${i} ${'x'.repeat(20)}`),
      1,
    )
    expect(
      await many
        .pipe('head -n 2')
        .map((line) => line.slice(0, 6))
        .collect(),
    ).toEqual(['line 0', 'line 1'])
  })
})
