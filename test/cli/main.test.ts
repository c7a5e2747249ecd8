/** The command as such: help, versions, what it does not understand. */
import { readFileSync } from 'node:fs'
import { describe, expect, it } from 'vitest'
import { cli } from './cli.js'

const verbs = ['run', 'replay', 'demo', 'graph', 'lint', 'doctor']

describe('millrace', () => {
  it('lists its verbs with --help', async () => {
    const { status, stdout } = await cli(['--help'])
    expect(status).toBe(0)
    for (const verb of verbs) expect(stdout).toMatch(new RegExp(`^ {2}${verb} +\\S`, 'm'))
  })

  it.each(verbs)('%s --help shows its options', async (verb) => {
    const { status, stdout } = await cli([verb, '--help'])
    expect(status).toBe(0)
    expect(stdout).toContain(`millrace ${verb}`)
    expect(stdout).toMatch(/^ {2}--help +show this$/m)
  })

  it.each(['dance', 'toString'])('help %s lists the verbs, since there is no such verb', async (name) => {
    const { status, stdout } = await cli(['help', name])
    expect([status, stdout.includes('Verbs:')]).toEqual([0, true])
  })

  it('gives its version', async () => {
    const { version } = JSON.parse(readFileSync(new URL('../../package.json', import.meta.url), 'utf8'))
    expect((await cli(['--version'])).stdout).toBe(`${version}\n`)
  })

  it.each([
    [[], 'stdout', /millrace <verb>/],
    [['dance'], 'stderr', /has no verb dance.*run/],
    [['doctor', 'me'], 'stderr', /doctor takes no me/],
    [['run'], 'stderr', /job file is missing/],
    [['run', 'a.ts', 'b.ts'], 'stderr', /one job file/],
    [['run', 'a.ts', '--bathces', '3'], 'stderr', /Unknown option '--bathces'/],
    [['run', 'a.ts', '--batches', '0'], 'stderr', /--batches 0 is not a whole number/],
    [['graph', 'a.ts', '--format', 'svg'], 'stderr', /not one of text, mermaid, json/],
  ] as const)('answers %j with status 2', async (args, stream, text) => {
    const result = await cli(args)
    expect(result.status).toBe(2)
    expect(result[stream]).toMatch(text)
    expect(result.stderr).not.toMatch(/^\s+at /m)
  })
})

describe('millrace doctor', () => {
  it('finds that what every job needs is here', async () => {
    const { status, stdout } = await cli(['doctor'])
    expect(stdout).toMatch(/^ok +Node +v/m)
    expect(stdout).toMatch(/^ok +esbuild /m)
    expect(status).toBe(0)
  })

  it('says that a broker cannot be reached, and never its password', async () => {
    const { status, stdout, stderr } = await cli(['doctor', '--broker', 'mqtt://me:hunter2@127.0.0.1:1'])
    expect(status).toBe(1)
    expect(stdout).toMatch(/^BROKEN +broker +cannot connect: .*ECONNREFUSED/m)
    expect(stdout + stderr).not.toContain('hunter2')
  })

  it.each([
    ['me:hunter2@127.0.0.1', 'it has no scheme'],
    ['mqtt://me:hunter2@127.0.0.1/topic', 'it has a path'],
  ])('says that %s is not a broker URL, and never its password', async (url, why) => {
    const { status, stdout, stderr } = await cli(['doctor', '--broker', url])
    expect(status).toBe(1)
    expect(stdout).toMatch(new RegExp(`^BROKEN +broker +"\\S*127.*" is not a broker URL: ${why}`, 'm'))
    expect(stdout + stderr).not.toContain('hunter2')
  })

  it('shows a configuration that cannot be read', async () => {
    const env = { MILLRACE_CONF_SPARK_STREAMING_BLOCK_INTERVAL: 'soon' }
    const { status, stdout } = await cli(['doctor'], { env })
    expect(status).toBe(1)
    expect(stdout).toMatch(/^BROKEN +configuration +"soon" \(from the environment\)/m)
  })
})
