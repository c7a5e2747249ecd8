/** The user's lines in the stack of an error: which line of whose file it came from, without ours and Node's. */

import { causesOf } from './errors.js'

// Ours as they run, and as their source maps show them.
const ourFiles = ['dist', 'src'].map((directory) => new URL(`../${directory}/`, import.meta.url).pathname)
/** The lines of an error's stack that are the user's, the nearest first: neither Node's, nor a package's, nor ours. */
export function userFrames(error: Error): string[] {
  const frames = (error.stack ?? '').split('\n').filter((line) => /^\s+at .*:\d+:\d+\)?$/.test(line))
  return frames
    .filter((line) => !/node:|\/node_modules\//.test(line) && !ourFiles.some((ours) => line.includes(ours)))
    .slice(0, 5)
}

/** The user's line nearest to where the error, or what lies beneath it, was thrown, as a field of the log; none when it is not the user's. */
export function thrownAt(error: Error): { readonly at?: string } {
  let place: string | undefined
  for (const cause of causesOf(error)) {
    place = userFrames(cause)[0]?.replace(/^\s*at /, '') ?? place
  }
  return place === undefined ? {} : { at: place }
}
