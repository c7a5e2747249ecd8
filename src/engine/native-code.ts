/** Native code of a job: it cannot be part of a bundle, so packages that have any, and addons of the job's own, lie beside it. */
import {
  copyFileSync,
  existsSync,
  lstatSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  symlinkSync,
} from 'node:fs'
import { dirname, join, sep } from 'node:path'
import type { OnResolveResult, Plugin, PluginBuild } from 'esbuild'
import { contentHash, inOneStep } from './content-files.js'

/** Where a bundle finds an addon of the job's own. */
const addonAddress = /^\.\/native\/[0-9a-f]{16}\.node$/

export class NativeCode {
  /** The directories of packages, by name. */
  readonly #packages = new Map<string, string>()
  /** The files of addons, by the hash of their content. */
  readonly #addons = new Map<string, string>()

  /** Leaves native code outside the bundle and notes where it is. */
  get plugin(): Plugin {
    return {
      name: 'native code',
      setup: (build) => {
        onNativePackage(build, (path, { name, directory }) => {
          this.#packages.set(name, directory)
          return { path, external: true }
        })
        build.onResolve({ filter: addonAddress }, ({ path }) => ({ path, external: true }))
        build.onLoad({ filter: /\.node$/ }, ({ path }) => {
          const hash = contentHash(readFileSync(path))
          this.#addons.set(hash, path)
          return { contents: `module.exports = require('./native/${hash}.node')` }
        })
      },
    }
  }

  /** Puts what was noted beside the bundles in `directory`. */
  link(directory: string): void {
    for (const [name, target] of this.#packages) linkPackage(join(directory, 'node_modules', name), target)
    for (const [hash, file] of this.#addons) copyAddon(join(directory, 'native', `${hash}.node`), file)
  }
}

interface PackageHome {
  readonly name: string
  readonly directory: string
}

/** Has `resolved` say what becomes of the import of a package with native code. */
export function onNativePackage(
  build: PluginBuild,
  resolved: (path: string, home: PackageHome) => OnResolveResult,
): void {
  const resolving = Symbol()
  build.onResolve({ filter: /^[^./]/ }, async ({ path, importer, kind, resolveDir, pluginData }) => {
    if (pluginData === resolving || path.startsWith('node:')) return undefined
    const found = await build.resolve(path, { importer, kind, resolveDir, pluginData: resolving })
    if (found.errors.length > 0 || found.external) return undefined
    const home = packageDirectory(found.path)
    return home === null || !hasNativeCode(home.directory) ? undefined : resolved(path, home)
  })
}

/** The package a file belongs to: the directory after the last `node_modules`. */
function packageDirectory(file: string): PackageHome | null {
  const at = file.lastIndexOf(`${sep}node_modules${sep}`)
  if (at < 0) return null
  const start = at + `${sep}node_modules${sep}`.length
  const [first, second] = file.slice(start).split(sep)
  const name = first!.startsWith('@') ? `${first}/${second}` : first!
  return { name, directory: join(file.slice(0, start), name) }
}

function hasNativeCode(directory: string): boolean {
  if (existsSync(join(directory, 'binding.gyp')) || existsSync(join(directory, 'prebuilds'))) return true
  if (readdirSync(directory).some((name) => name.endsWith('.node'))) return true
  try {
    const { napi, binary, gypfile } = JSON.parse(readFileSync(join(directory, 'package.json'), 'utf8'))
    return napi !== undefined || binary !== undefined || gypfile === true
  } catch {
    return false
  }
}

function linkPackage(link: string, target: string): void {
  const present = lstatSync(link, { throwIfNoEntry: false })
  if (present?.isSymbolicLink() && readlinkSync(link) === target) return
  putBeside(link, (partial) => symlinkSync(target, partial, 'junction'))
}

function copyAddon(copy: string, file: string): void {
  if (!existsSync(copy)) putBeside(copy, (partial) => copyFileSync(file, partial))
}

function putBeside(path: string, make: (partial: string) => void): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 })
  inOneStep(path, make)
}
