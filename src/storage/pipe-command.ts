/** A partition through a command: its records go in as lines, the lines it prints are the records that come out. */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { MillraceError } from '../errors.js'
import { type LibraryFunction, libraryFunction } from '../rdd/task-function.js'
import { splitLines } from './file-reading.js'

export const pipeThrough: (
  command: string | readonly string[],
  environment: Readonly<Record<string, string>>,
) => LibraryFunction = libraryFunction(
  'pipeThrough',
  (command: string | readonly string[], environment: Readonly<Record<string, string>>) =>
    async (lines: Iterable<string>) => {
      const [program, ...args] = typeof command === 'string' ? ['/bin/sh', '-c', command] : command
      const child = spawn(program!, args, { env: { ...process.env, ...environment }, stdio: ['pipe', 'pipe', 'pipe'] })
      const ended = once(child, 'close')
      // Awaited below; until then a command that could not be started must not count as unhandled.
      ended.catch(() => {})
      const output = Promise.all([textOf(child.stdout), textOf(child.stderr)])
      // A command may end before it has read everything, as head does.
      child.stdin.on('error', () => {})
      const closed = new Promise<void>((resolve) => child.stdin.once('close', resolve))
      for (const line of lines) {
        if (child.stdin.destroyed) break
        if (!child.stdin.write(`${line}\n`)) await Promise.race([drained(child.stdin), closed])
      }
      child.stdin.end()
      const [code, signal] = (await ended) as [number | null, NodeJS.Signals | null]
      const [printed, complaint] = await output
      if (code !== 0) {
        throw new MillraceError(
          'TASK_FAILED',
          `The command ${typeof command === 'string' ? command : command.join(' ')} ended with ${signal ?? `code ${code}`}: ${complaint.trim().slice(0, 500)}`,
        )
      }
      return splitLines(printed)
    },
)

function drained(stream: NodeJS.WritableStream): Promise<void> {
  return new Promise((resolve) => stream.once('drain', resolve))
}

async function textOf(stream: NodeJS.ReadableStream): Promise<string> {
  let text = ''
  for await (const chunk of stream.setEncoding('utf8')) text += chunk
  return text
}
