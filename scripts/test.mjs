/**
 * Passes the tests: sets up what they need, builds, runs all of them. Arguments go to vitest, and only the build comes first:
 * `npm test -- test/conf.test.ts`.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setUp } from './setup.mjs'

const root = fileURLToPath(new URL('..', import.meta.url))
const args = process.argv.slice(2)

/** The set-up steps the tests rely on. */
const needed = ['mosquitto', 'java', 'hivemq', 'spark']

try {
  if (args.length === 0) await setUp(needed)
  console.log('build: tsc -b')
  step('tsc', ['-b'])
  console.log('test: vitest run')
  step('vitest', ['run', ...args])
} catch (error) {
  console.error(error.message)
  process.exitCode = 1
}

function step(tool, args) {
  const { status, signal, error } = spawnSync(`${root}/node_modules/.bin/${tool}`, args, {
    cwd: root,
    stdio: 'inherit',
  })
  if (error !== undefined) throw new Error(`${tool} could not be started (${error.message}). Run npm ci first.`)
  if (status !== 0) throw new Error(`${tool} ended with ${signal ?? `status ${status}`}.`)
}
