/** Which files a path means: a file, a directory, a pattern, or several with commas between. */
import { readdirSync, type Stats, statSync } from 'node:fs'
import { join, sep } from 'node:path'
import { MillraceError } from '../errors.js'
import type { FileInfo } from '../rdd/outside-access.js'

/** The files of `path`, in order of their names. Throws `FILE_NOT_FOUND` when there is nothing of that name. */
export function listFiles(path: string): FileInfo[] {
  const files: FileInfo[] = []
  for (const pattern of splitAtCommas(path)) {
    const matches = expand(pattern)
    if (matches.length === 0)
      throw new MillraceError(
        'FILE_NOT_FOUND',
        `${pattern} is neither a file, nor a directory, nor a pattern that matches any.`,
        {
          details: { path: pattern },
        },
      )
    for (const match of matches) {
      const listed = stat(match)
      if (listed === null) continue
      if (listed === 'directory') files.push(...visibleFilesIn(match))
      else files.push(listed)
    }
  }
  return files
}

/** The files directly in the directories that `pattern` means, hidden ones too; none for a directory that is not there. */
export function filesInDirectories(pattern: string): FileInfo[] {
  return expand(pattern).flatMap((directory) => (stat(directory) === 'directory' ? filesIn(directory) : []))
}

/** Hadoop's rule: what begins with a dot or an underscore is not data. */
function isVisible(name: string): boolean {
  return !name.startsWith('.') && !name.startsWith('_')
}

function visibleFilesIn(directory: string): FileInfo[] {
  return filesIn(directory).filter((file) => isVisible(file.path.slice(file.path.lastIndexOf(sep) + 1)))
}

function filesIn(directory: string): FileInfo[] {
  const files = readdirSync(directory)
    .sort()
    .map((name) => stat(join(directory, name)))
  return files.filter((file) => file !== null && file !== 'directory')
}

function stat(path: string): FileInfo | 'directory' | null {
  let found: Stats | undefined
  try {
    found = statSync(path, { throwIfNoEntry: false })
  } catch (error) {
    // A file where the path has a directory.
    if ((error as NodeJS.ErrnoException).code === 'ENOTDIR') return null
    throw error
  }
  if (found === undefined) return null
  return found.isDirectory() ? 'directory' : { path, bytes: found.size, modifiedMs: Math.floor(found.mtimeMs) }
}

/** The paths a pattern matches, in order of their names. */
function expand(pattern: string): string[] {
  return [...new Set(expandBraces(pattern).flatMap(expandStars))].sort()
}

function expandStars(pattern: string): string[] {
  if (!hasPattern(pattern)) return stat(pattern) === null ? [] : [pattern]
  const segments = pattern.split('/')
  let found = [segments[0] === '' ? '/' : '.']
  if (segments[0] === '') segments.shift()
  for (const segment of segments.filter((part) => part !== '')) {
    found = found.flatMap((directory) => {
      const named = (name: string): string => (directory === '.' ? name : join(directory, name))
      if (!hasPattern(segment)) return stat(named(segment)) === null ? [] : [named(segment)]
      if (stat(directory) !== 'directory') return []
      const matcher = matcherOf(segment)
      return readdirSync(directory)
        .filter((name) => isVisible(name) && matcher.test(name))
        .map(named)
    })
  }
  return found
}

function hasPattern(path: string): boolean {
  return /[*?[]/.test(path)
}

function matcherOf(segment: string): RegExp {
  let source = ''
  for (let i = 0; i < segment.length; i++) {
    const character = segment[i]!
    const close = character === '[' ? segment.indexOf(']', i + 1) : -1
    if (close > 0) {
      source += `[${segment
        .slice(i + 1, close)
        .replace(/^!/, '^')
        .replaceAll('\\', '\\\\')}]`
      i = close
    } else if (character === '*') source += '.*'
    else if (character === '?') source += '.'
    else source += character.replace(/[\\^$.|+()[\]{}]/, '\\$&')
  }
  return new RegExp(`^${source}$`)
}

/** `a{b,c}d` is `abd` and `acd`. */
function expandBraces(pattern: string): string[] {
  const open = pattern.indexOf('{')
  const close = pattern.indexOf('}', open)
  if (open < 0 || close < 0) return [pattern]
  const choices = pattern.slice(open + 1, close).split(',')
  return choices.flatMap((choice) => expandBraces(pattern.slice(0, open) + choice + pattern.slice(close + 1)))
}

/** At commas outside braces. */
function splitAtCommas(path: string): string[] {
  return path.split(/,(?![^{]*\})/).filter((part) => part !== '')
}
