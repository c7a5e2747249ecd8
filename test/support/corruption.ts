/** Damage done to files. */
import { readdir, readFile, writeFile } from 'node:fs/promises'
import { join } from 'node:path'

/** Changes bits of the first record of every segment of a log, behind which there are others. */
export async function corruptLog(directory: string): Promise<void> {
  for (const name of await readdir(directory)) {
    const path = join(directory, name)
    const bytes = await readFile(path)
    for (let i = 64 + 24; i < bytes.length && i < 64 + 32; i++) bytes[i] = bytes[i]! ^ 0xa5
    await writeFile(path, bytes)
  }
}
