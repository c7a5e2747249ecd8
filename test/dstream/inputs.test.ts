import { mkdirSync, readdirSync, readFileSync, renameSync, utimesSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'
import { Receiver, StorageLevel } from 'millrace'
import { describe, expect, onTestFinished, test, vi } from 'vitest'
import { serializeRecords } from '../../src/storage/record-serializer.js'
import { masters } from '../support/masters.js'
import { manualContext, manualJob, temporaryDirectory } from '../support/streams.js'
import { vectorOf } from '../support/vectors.js'

const put = (path: string, content: string | Uint8Array, modifiedMs: number): void => {
  writeFileSync(path, content)
  utimesSync(path, modifiedMs / 1000, modifiedMs / 1000)
}

class Silent extends Receiver<number> {
  constructor() {
    super(StorageLevel.MEMORY_ONLY)
  }
  onStart(): void {}
  onStop(): void {}
}

async function serve(answer: (socket: Socket, connection: number) => void): Promise<{ port: number }> {
  let connections = 0
  const sockets = new Set<Socket>()
  const server: Server = createServer((socket) => {
    sockets.add(socket)
    socket.on('error', () => {})
    answer(socket, connections++)
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  onTestFinished(() => {
    for (const socket of sockets) socket.destroy()
    server.close()
  })
  return { port: (server.address() as { port: number }).port }
}

// Numbers are given by the driver: no function runs in a thread.
test('inputstreamssuite/test-track-the-number-of-input-stream', () => {
  const [[expected]] = vectorOf('inputstreamssuite/test-track-the-number-of-input-stream').expected as [
    [{ receiverIds: number[]; allIds: number[] }],
  ]
  const { ssc } = manualContext()
  for (let i = 0; i < 2; i++) ssc.receiverStream(new Silent())
  for (let i = 0; i < 3; i++) ssc.queueStream([])
  expect(ssc.graph.inputs.map((input) => input.streamId)).toEqual(expected.allIds)
  expect([...ssc.receivers.keys()]).toEqual(expected.receiverIds)
})

describe.each(masters)('on %s', (master) => {
  describe('file streams', () => {
    test.each([true, false])('inputstreamssuite/file-input-stream-newfilesonly-%s', async (newFilesOnly) => {
      const vector = vectorOf(`inputstreamssuite/file-input-stream-newfilesonly-${newFilesOnly}`)
      const directory = temporaryDirectory()
      put(join(directory, '0'), '0\n', 10_000)
      const { ssc, clock, batches, outputs } = manualJob({ master, batchMs: 2000, startMs: 12_000 }, (ssc) =>
        ssc.textFileStream(directory, { newFilesOnly }),
      )
      await ssc.start()
      clock.advance(1000)
      for (const [i, [content]] of (vector.input as string[][]).entries()) {
        put(join(directory, String(i + 1)), `${content}\n`, clock.now())
        await batches(1)
      }
      expect([...new Set(outputs.flat())].sort()).toEqual(vector.expected[0])
      for (const batch of outputs) expect(batch.length).toBeLessThanOrEqual(newFilesOnly ? 1 : 2)
    })

    test('inputstreamssuite/file-input-stream-wildcard', async () => {
      const vector = vectorOf('inputstreamssuite/file-input-stream-wildcard')
      const directory = temporaryDirectory()
      for (const name of ['tmp1', 'tmp2']) mkdirSync(join(directory, name))
      put(join(directory, '0'), '0\n', 10_000)
      const { ssc, clock, batches, outputs } = manualJob({ master, batchMs: 2000, startMs: 12_000 }, (ssc) =>
        ssc.textFileStream(`${directory}/*/`),
      )
      await ssc.start()
      clock.advance(1000)
      for (const [sub, contents] of (vector.input as string[][]).entries()) {
        for (const content of contents) put(join(directory, `tmp${sub + 1}`, content), `${content}\n`, clock.now())
        await batches(1)
      }
      expect(outputs.flat().sort()).toEqual([...(vector.expected[0] as string[])].sort())
    })

    test('inputstreamssuite/binary-records-stream', async () => {
      const vector = vectorOf('inputstreamssuite/binary-records-stream')
      const directory = temporaryDirectory()
      const { ssc, clock, batches, outputs } = manualJob({ master, batchMs: 2000, startMs: 12_000 }, (ssc) =>
        ssc.binaryRecordsStream(directory, 1).map(([byte]) => byte),
      )
      await ssc.start()
      clock.advance(1000)
      for (const [i, bytes] of (vector.input as number[][]).entries()) {
        put(join(directory, String(i)), Uint8Array.from(bytes), clock.now())
        await batches(1)
      }
      expect(outputs).toEqual(vector.expected)
    })

    test('a file is taken once, in the first batch at or after its time, and not when it comes too late', async () => {
      const directory = temporaryDirectory()
      const { ssc, batches, outputs } = manualJob({ master, startMs: 100_000 }, (ssc) => ssc.textFileStream(directory))
      put(join(directory, 'future'), 'future', 102_500)
      await ssc.start()
      put(join(directory, '.hidden'), 'hidden', 100_500)
      await batches(3)
      renameSync(join(directory, 'future'), join(directory, 'renamed'))
      put(join(directory, 'late'), 'late', 100_500)
      await batches(61)
      put(join(directory, 'too late'), 'too late', 104_000)
      await batches(2)
      expect(outputs.map((batch) => batch.join()).filter((text) => text !== '')).toEqual(['future', 'late,future'])
    })

    test('a directory that is not there has no files', async () => {
      const { batches, outputs } = manualJob({ master }, (ssc) => ssc.fileStream('/no/such/directory'))
      await batches(2)
      expect(outputs).toEqual([[], []])
    })
  })

  describe('queues and constants', () => {
    test('inputstreamssuite/queue-input-stream-oneatatime-true', async () => {
      const vector = vectorOf('inputstreamssuite/queue-input-stream-oneatatime-true')
      const queue: string[][] = []
      const { batches, outputs } = manualJob({ master }, (ssc) => ssc.queueStream(queue))
      for (const records of vector.input as string[][]) {
        queue.push(...records.map((record) => [record]))
        await batches(1)
      }
      expect(outputs.filter((batch) => batch.length > 0)).toEqual(vector.expected)
    })

    test('all that waits at once, and a default when nothing does', async () => {
      const queue = [[1], [2], [3]]
      const { batches, outputs } = manualJob({ master }, (ssc) =>
        ssc.queueStream(queue, false, ssc.sparkContext.parallelize([0], 1)),
      )
      await batches(2)
      expect(outputs).toEqual([[1, 2, 3], [0]])
    })

    test('a constant stream gives the same RDD each batch', async () => {
      const { batches, outputs } = manualJob({ master }, (ssc) =>
        ssc.constantStream(ssc.sparkContext.parallelize(['x'], 1)),
      )
      await batches(2)
      expect(outputs).toEqual([['x'], ['x']])
      expect(() => manualContext().ssc.constantStream(null as never)).toThrow('RDD')
    })
  })

  describe('sockets', () => {
    test('lines of text, over several connections, characters cut anywhere', async () => {
      const server = await serve((socket, n) => {
        const bytes = Buffer.from(n === 0 ? 'eins\r\nz\u00e4hl' : 'end\n')
        for (const byte of bytes) socket.write(Uint8Array.of(byte))
        if (n === 0) socket.end('er\n')
      })
      const conf = { 'spark.streaming.receiverRestartDelay': 10 }
      const { port } = server
      const { ssc, clock, batches, outputs } = manualJob({ master, conf }, (ssc) =>
        ssc.socketTextStream('127.0.0.1', port),
      )
      await ssc.start()
      await vi.waitFor(async () => {
        clock.advance(1000)
        await batches(1)
        expect(outputs.flat()).toEqual(['eins', 'z\u00e4hler', 'end'])
      })
    })

    test('a converter makes records of the bytes', async () => {
      const server = await serve((socket) => socket.write(Uint8Array.of(1, 2, 3)))
      const { port } = server
      const { ssc, clock, batches, outputs } = manualJob({ master }, (ssc) => {
        async function* numbers(bytes: AsyncIterable<Uint8Array>): AsyncGenerator<number> {
          for await (const chunk of bytes) yield* chunk
        }
        return ssc.socketStream('127.0.0.1', port, numbers)
      })
      await ssc.start()
      await vi.waitFor(async () => {
        clock.advance(1000)
        await batches(1)
        expect(outputs.flat()).toEqual([1, 2, 3])
      })
    })

    test('raw blocks are stored as they come and read by the task', async () => {
      const server = await serve((socket) => {
        for (const records of [[{ a: 1 }, { a: 2 }], [{ a: 3 }]]) {
          const body = serializeRecords(records)
          const head = Buffer.alloc(4)
          head.writeUInt32BE(body.length)
          socket.write(head.subarray(0, 2))
          socket.write(Buffer.concat([head.subarray(2), body]))
        }
      })
      const { port } = server
      const { ssc, batches, outputs } = manualJob({ master }, (ssc) =>
        ssc.rawSocketStream<{ a: number }>('127.0.0.1', port),
      )
      await ssc.start()
      await vi.waitFor(async () => {
        await batches(1)
        expect(outputs.flat()).toEqual([{ a: 1 }, { a: 2 }, { a: 3 }])
      })
    })
  })

  describe('files out', () => {
    test('a directory a batch, named by prefix, time and suffix; a batch that runs again replaces it', async () => {
      const directory = temporaryDirectory()
      const { batches } = manualJob({ master }, (ssc) => {
        const words = ssc.queueStream([['a', 'b'], ['c']])
        words.saveAsTextFiles(`${directory}/words`, 'txt')
        words.map((word) => ({ word })).saveAsJsonFiles(`${directory}/json`)
        words.saveAsObjectFiles(`${directory}/objects`)
        return words
      })
      mkdirSync(join(directory, 'words-1000.txt'))
      await batches(2)
      expect(readdirSync(directory)).toEqual([
        'json-1000',
        'json-2000',
        'objects-1000',
        'objects-2000',
        'words-1000.txt',
        'words-2000.txt',
      ])
      expect(readFileSync(join(directory, 'words-1000.txt', 'part-00000'), 'utf8')).toBe('a\nb\n')
      expect(readFileSync(join(directory, 'json-2000', 'part-00000'), 'utf8')).toBe('{"word":"c"}\n')
      const { sparkContext } = manualContext().ssc
      expect(await sparkContext.objectFile(join(directory, 'objects-1000')).collect()).toEqual(['a', 'b'])
    })
  })
})
