/** Files that are named by their content, and put in their place in one step, whatever other processes read at the moment. */
import { createHash } from 'node:crypto'
import { renameSync, rmSync, writeFileSync } from 'node:fs'

/** Sixteen hexadecimal digits that stand for the content. */
export function contentHash(content: string | Uint8Array): string {
  return createHash('sha256').update(content).digest('hex').slice(0, 16)
}

/** Has `make` make a file or a link beside `path`, and puts it there: whoever looks sees all of it, or what was there before. */
export function inOneStep(path: string, make: (partial: string) => void): void {
  const partial = `${path}.${process.pid}.tmp`
  rmSync(partial, { force: true })
  make(partial)
  renameSync(partial, path)
}

/** Writes a file in one step. */
export function writeWhole(path: string, content: string | Uint8Array): void {
  inOneStep(path, (partial) => writeFileSync(partial, content))
}
