/** The log: one line an event, that people and programs can both read. */
import { describe, expect, it } from 'vitest'
import { MillraceError } from '../dist/errors.js'
import { Log, type LogLevel } from '../dist/log.js'

function logged(level: LogLevel, write: (log: Log) => void): string[] {
  const lines: string[] = []
  write(new Log(level, { app: 'mill' }, (line) => lines.push(line)))
  return lines.map((line) => line.replace(/^time=\S+ /, ''))
}

describe('the log', () => {
  it('writes one line an event, from its level on', () => {
    const lines = logged('warn', (log) => {
      log.info('too quiet')
      log.warn('it turns', { stream: 3 })
      log.with({ part: 'wheel' }).error('it stands', { why: 'no "water"\nfor days' })
    })
    expect(lines).toEqual([
      'level=warn msg="it turns" app=mill stream=3\n',
      'level=error msg="it stands" app=mill part=wheel why="no \\"water\\"\\nfor days"\n',
    ])
  })

  it('shows the code of an error before its text', () => {
    const error = new MillraceError('MQTT_REFUSED', 'Not authorized.')
    expect(logged('warn', (log) => log.warn('no connection', { error }))).toEqual([
      'level=warn msg="no connection" app=mill code=MQTT_REFUSED error="Not authorized."\n',
    ])
    expect(logged('warn', (log) => log.warn('no', { error: new Error('plain') }))).toEqual([
      'level=warn msg=no app=mill error=plain\n',
    ])
  })

  it('refuses a level there is not', () => {
    expect(() => Log.fromEnvironment('loud')).toThrow(expect.objectContaining({ code: 'INVALID_CONF' }))
    expect(() => Log.fromEnvironment('constructor')).toThrow(/debug, info, warn, error, silent/)
  })
})
