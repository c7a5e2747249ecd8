/** `millrace demo`, the main job: on a broker of its own and on a given one. */
import { chmodSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { accepts, Mosquitto } from '../support/mosquitto.js'
import { cli, cliInto, files, printedBatches, startCli, startCliInTerminal } from './cli.js'

function brokerPort(stderr: string): number {
  return Number(/127\.0\.0\.1:(\d+)/.exec(stderr)![1])
}

describe('millrace demo', () => {
  it('counts the words of simulated messages through Mosquitto', async () => {
    const running = startCli(['demo', '--interval', '200ms', '--rate', '500'])
    await running.says(/\.\.\.\n[\s\S]*\.\.\.\n/)
    running.signal('SIGINT')
    const { status, stdout, stderr } = await running.ended
    expect(stderr).toMatch(/^Mosquitto at mqtt:\/\/127\.0\.0\.1:\d+; 500 messages per second on millrace\/demo\/#/)
    expect(status).toBe(0)
    for (const batch of printedBatches(stdout)) {
      if (batch.length > 10) expect(batch.pop()).toBe('...')
      expect(batch.length).toBeLessThanOrEqual(10)
      for (const line of batch) expect(line).toMatch(/^\(\S+,\d+\)$/)
    }
  })

  it('runs in executor threads too', async () => {
    const running = startCli(['demo', '--interval', '200ms', '--master', 'local[2]'])
    await running.says(/\(\S+,\d+\)\n\.\.\.\n/)
    running.signal('SIGINT')
    expect((await running.ended).status).toBe(0)
  })

  it('ends after the batches asked for', async () => {
    const { status, stdout } = await cli(['demo', '--batches', '3', '--interval', '200ms'])
    expect(status).toBe(0)
    expect(printedBatches(stdout)).toHaveLength(3)
  })

  it('prints as Spark does: a header, the time, at most ten records', async () => {
    const { stdout } = await cli(['demo', '--batches', '2', '--interval', '500ms'])
    const [first, second] = [...stdout.matchAll(/^-{43}\nTime: (\d+) ms\n-{43}\n/gm)].map((match) => Number(match[1]))
    expect(first! % 500).toBe(0)
    expect(second).toBe(first! + 500)
  })

  it('finishes the batch that runs at Ctrl-C, and takes its broker with it', async () => {
    const running = startCli(['demo', '--interval', '200ms'])
    await running.says(/\.\.\.\n/)
    const port = brokerPort(running.stderr)
    expect(await accepts(port)).toBe(true)
    running.signal('SIGINT')
    const { status, stdout } = await running.ended
    expect(status).toBe(0)
    expect(stdout.endsWith('\n\n')).toBe(true)
    expect(await accepts(port)).toBe(false)
  })

  it('says how many messages and records there were, each second and in all', async () => {
    const { stderr } = await cli(['demo', '--batches', '8', '--interval', '200ms'])
    expect(stderr).toMatch(/^\d+ batch(es)? {2}[\d,]+ messages\/s {2}[\d,]+ records\/s {2}processing \d+ ms/m)
    expect(stderr).toMatch(/^Ended after 8 batches, [\d,]+ messages, [\d,]+ records\.\n$/m)
  })

  it('writes the status line by line in a terminal where its output goes elsewhere', async () => {
    const running = startCliInTerminal(['demo', '--interval', '100ms', '--batches', '15'], { into: 'cat' })
    const { stdout } = await running.ended
    expect(stdout).toMatch(/^\d+ batch(es)? {2}[\d,]+ messages\/s .* ms\r\n/m)
    expect(stdout).toMatch(/^Ended after 15 batches, /m)
    expect(stdout).not.toContain('\x1b')
  })

  it('does with a broker of its own when Mosquitto does not start', async () => {
    const bin = files({ mosquitto: '#!/bin/sh\necho "Error: no such plugin" >&2\nexit 3\n' })
    chmodSync(join(bin, 'mosquitto'), 0o755)
    const env = { PATH: `${bin}:${process.env.PATH}` }
    const running = startCli(['demo', '--interval', '200ms'], { env })
    await running.says(/\(\S+,\d+\)\n/)
    running.signal('SIGINT')
    const { status, stderr } = await running.ended
    expect(stderr).toContain(`${join(bin, 'mosquitto')} does not start`)
    expect(stderr).toContain('no such plugin')
    expect(stderr).toMatch(/^A broker in this process at mqtt:\/\/127\.0\.0\.1:\d+; 1000 messages/m)
    expect(status).toBe(0)
  })

  it('ends without a word when nobody reads on', async () => {
    const { status, stdout, stderr } = await cliInto('head -3', ['demo', '--interval', '200ms'])
    expect(stdout).toMatch(/^-+\nTime: \d+ ms\n-+\n$/)
    expect(stderr.replaceAll(/^(Mosquitto at .*|\d+ batch.*)\n/gm, '')).toBe('')
    expect(status).toBe(0)
    const port = brokerPort(stderr)
    while (await accepts(port)) await new Promise((resolve) => setTimeout(resolve, 20))
  })

  it('leaves no broker behind when it is killed', async () => {
    const running = startCli(['demo', '--interval', '200ms'])
    await running.says(/\.\.\.\n/)
    const port = brokerPort(running.stderr)
    running.signal('SIGKILL')
    await running.ended
    while (await accepts(port)) await new Promise((resolve) => setTimeout(resolve, 20))
  })

  it('reads from a broker that is given, and publishes nothing there', async () => {
    const broker = await Mosquitto.start()
    onTestFinished(() => broker.close())
    await broker.publish('plant/log', 'one two two', '-r')
    const running = startCli(['demo', '--broker', broker.url, '--topic', 'plant/#', '--interval', '200ms', '--status'])
    await running.says(/\(one,1\)\n/)
    await running.says(/\d+ batch(es)? {2}[\d,]+ messages\/s {2}[\d,]+ records\/s/, 'stderr')
    running.signal('SIGTERM')
    const { status, stdout } = await running.ended
    expect(status).toBe(0)
    expect(printedBatches(stdout).flat().sort()).toEqual(['(one,1)', '(two,2)'])
    expect(broker.log).not.toMatch(/Received PUBLISH from millrace/)
  })

  it.each([
    [['--broker', 'mqtt://127.0.0.1'], 2, '--broker needs --topic'],
    [['--rate', 'fast'], 2, '--rate fast is not a whole number'],
    [['--topic', 'plant/#'], 2, '--topic needs --broker'],
    [['--broker', 'mqtt://127.0.0.1', '--topic', 'a', '--rate', '5'], 2, '--rate is for simulated messages'],
    [['now'], 2, 'demo takes no now'],
    [['--interval', 'soon'], 1, 'INVALID_DURATION'],
    [['--broker', 'http://127.0.0.1', '--topic', 'a'], 1, 'MQTT_INVALID_URL'],
    [['--broker', 'mqtt://127.0.0.1', '--topic', 'a#'], 1, 'MQTT_INVALID_TOPIC_FILTER'],
  ] as const)('refuses %j', async (args, expected, text) => {
    const { status, stderr } = await cli(['demo', ...args])
    expect(status).toBe(expected)
    expect(stderr).toContain(text)
  })
})
