/** The link of a Node process that Java started: frames on stdin and on file descriptor 3. It ends the process when Java is gone. */
import { Socket } from 'node:net'
import { Worker } from 'node:worker_threads'
import { controlFrame, FrameReader, rawFrameHead } from './frames.js'
import type { Value } from './protocol.js'
import { Frame, PROTOCOL_VERSION } from './protocol.js'

/** Looks once a second whether the parent still lives, in a thread of its own: the main one may be in a loop of the user's. */
const orphanWatch = `
const parent = process.ppid
setInterval(() => { if (process.ppid !== parent) process.kill(process.pid, 'SIGKILL') }, 1000)
`

/** The greeting of this process; with what it failed with, where it cannot begin its work: text for people, and ErrorData as JSON. */
export function greeting(failure: string | null = null, json: string | null = null): Buffer {
  const about = [PROTOCOL_VERSION, process.versions.node]
  return controlFrame(Frame.HELLO, failure === null ? about : [...about, failure, json])
}

export class JavaLink {
  readonly #out: Socket
  #onFrame: (type: number, body: Buffer) => void = () => {}

  /** Greets Java. From now on standard input and file descriptor 3 belong to the link. */
  constructor() {
    this.#out = new Socket({ fd: 3, readable: false, writable: true })
    this.#out.on('error', () => process.exit(1))
    new Worker(orphanWatch, { eval: true }).unref()
    this.#out.write(greeting())
  }

  /** Gives every frame to `onFrame`; when Java closes its end, `onEnd` is called, or the process ends. */
  listen(onFrame: (type: number, body: Buffer) => void, onEnd: () => void = () => process.exit(0)): void {
    this.#onFrame = onFrame
    const reader = new FrameReader((type, body) => this.#onFrame(type, body))
    process.stdin.on('data', (bytes: Buffer) => reader.push(bytes))
    process.stdin.once('end', onEnd)
    process.stdin.once('error', onEnd)
  }

  send(type: number, fields: readonly Value[]): void {
    this.#out.write(controlFrame(type, fields))
  }

  /** Writes a raw frame; false when the pipe is full: Java reads slower than this process writes. */
  sendBytes(type: number, bytes: Uint8Array, ...numbers: readonly number[]): boolean {
    this.#out.cork()
    this.#out.write(rawFrameHead(type, bytes.byteLength, ...numbers))
    const free = this.#out.write(bytes)
    this.#out.uncork()
    return free
  }

  /** The streams of the link, for a driver whose connection speaks over them. */
  get streams(): { readonly input: NodeJS.ReadStream; readonly output: Socket } {
    return { input: process.stdin, output: this.#out }
  }

  /** Resolves when everything written has gone out. */
  flushed(): Promise<void> {
    return new Promise((resolve) => this.#out.write('', () => resolve()))
  }
}
