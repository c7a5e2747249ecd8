/**
 * The layers of saved state as they lie on disk: a directory each, in the directory of their operator. It knows which there are; which
 * of them count, the journal says.
 */
import { readdir, rm, stat } from 'node:fs/promises'
import { join } from 'node:path'
import { toError } from '../errors.js'
import { type DirectoryHandle, openDirectory } from '../storage/directory-handle.js'
import { layerDirectory, operatorDirectory } from './restored-states.js'

export class SavedLayers {
  readonly #directory: string
  readonly #onError: (message: string, error: Error) => void
  readonly #layers = new Map<string, Set<string>>()
  readonly #bytes = new Map<string, number>()

  /** In the directory of all saved state. `onError` gets what could not be deleted. */
  constructor(directory: string, onError: (message: string, error: Error) => void) {
    this.#directory = directory
    this.#onError = onError
  }

  path(operator: string, layer: string): string {
    return layerDirectory(this.#directory, operator, layer)
  }

  /** The directory of a layer, made if need be, which it is from now on. */
  open(operator: string, layer: string): Promise<DirectoryHandle> {
    this.add(operator, layer)
    return openDirectory(this.path(operator, layer))
  }

  /** That layer is there. */
  add(operator: string, layer: string): void {
    const layers = this.#layers.get(operator)
    if (layers === undefined) this.#layers.set(operator, new Set([layer]))
    else layers.add(layer)
  }

  /** Puts the names of the layers of an operator on disk; the content of a layer is for its writer to put there. */
  async syncNames(operator: string): Promise<void> {
    const root = await openDirectory(this.#directory)
    await (await root.directory(operatorDirectory(operator))).sync()
    if (this.#layers.get(operator)?.size === 1) await root.sync()
  }

  /** The length of a layer's files. */
  async bytesOf(operator: string, layer: string): Promise<number> {
    const path = this.path(operator, layer)
    let bytes = this.#bytes.get(path)
    if (bytes === undefined) {
      bytes = 0
      for (const name of await readdir(path)) bytes += (await stat(join(path, name))).size
      this.#bytes.set(path, bytes)
    }
    return bytes
  }

  /** Deletes a layer. */
  async remove(operator: string, layer: string): Promise<void> {
    this.#layers.get(operator)?.delete(layer)
    await this.#removeDirectory(this.path(operator, layer))
  }

  /** Deletes the layers of an operator that are not among these. */
  async removeOthers(operator: string, needed: ReadonlySet<string>): Promise<void> {
    for (const layer of this.#layers.get(operator) ?? []) if (!needed.has(layer)) await this.remove(operator, layer)
  }

  /** Deletes what lies there and was never added, once `check` has not thrown at its path and layer. Rejects with the system's error. */
  async tidy(check: (path: string, layer: string) => void): Promise<void> {
    const known = new Set<string>()
    for (const [operator, layers] of this.#layers) for (const layer of layers) known.add(this.path(operator, layer))
    for (const operator of await namesIn(this.#directory)) {
      for (const layer of await readdir(join(this.#directory, operator)).catch(() => [])) {
        const path = join(this.#directory, operator, layer)
        if (known.has(path)) continue
        check(path, layer)
        await this.#removeDirectory(path)
      }
    }
  }

  async #removeDirectory(path: string): Promise<void> {
    this.#bytes.delete(path)
    await rm(path, { recursive: true, force: true }).catch((error: unknown) => {
      this.#onError(`Old state in ${path} could not be deleted`, toError(error))
    })
  }
}

/** The names in a directory, none if it is not there; rejects for what is no directory, or may not be read. */
async function namesIn(path: string): Promise<readonly string[]> {
  try {
    return await readdir(path)
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return []
    throw error
  }
}
