import { Receiver, StorageLevel } from 'millrace'
import { ManualClock } from 'millrace/testing'
import { describe, expect, test } from 'vitest'
import { ReceiverSupervisor } from '../../dist/receiver/receiver-supervisor.js'

/** Lets everything that is ready to run, run. */
async function settle(): Promise<void> {
  for (let i = 0; i < 5; i++) await new Promise((resolve) => setImmediate(resolve))
}

class Recorder extends Receiver<number> {
  readonly calls: string[] = []
  running = 0
  start: () => void | Promise<void> = () => {}
  stopping: () => void | Promise<void> = () => {}

  constructor() {
    super(StorageLevel.MEMORY_ONLY)
  }

  async onStart(): Promise<void> {
    this.calls.push('start')
    this.running++
    expect(this.running).toBe(1)
    await this.start()
  }

  async onStop(): Promise<void> {
    this.calls.push('stop')
    await this.stopping()
    this.running--
  }
}

function supervise(receiver: Recorder) {
  const clock = new ManualClock(0)
  const events: string[] = []
  const stored: (readonly unknown[])[] = []
  const supervisor = new ReceiverSupervisor(receiver, {
    streamId: 3,
    clock,
    blockIntervalMs: 200,
    blockQueueSize: 10,
    restartDelayMs: 2000,
    ratePerSecond: null,
    store: { storeRecords: async (records) => void stored.push(records), storeBytes: async () => {} },
    events: {
      started: () => events.push('started'),
      error: (message, error) => events.push(`error: ${message}: ${error.message}`),
      stopped: (message, error) => events.push(`stopped: ${message}${error === null ? '' : `: ${error.message}`}`),
    },
  })
  return { clock, events, stored, supervisor }
}

describe('ReceiverSupervisor', () => {
  test('a receiver knows its stream and its state while it runs', async () => {
    const receiver = new Recorder()
    expect(receiver.streamId).toBe(-1)
    expect(() => receiver.store(1)).toThrow(expect.objectContaining({ code: 'RECEIVER_NOT_ATTACHED' }))
    const { supervisor, events } = supervise(receiver)
    await supervisor.start()
    expect([receiver.streamId, receiver.isStarted(), receiver.isStopped()]).toEqual([3, true, false])
    await supervisor.shutdown()
    expect([receiver.isStarted(), receiver.isStopped()]).toEqual([false, true])
    expect(receiver.calls).toEqual(['start', 'stop'])
    expect(events).toEqual(['started', 'stopped: The streaming context is stopping'])
  })

  test('two restarts inside the delay start the receiver once', async () => {
    const receiver = new Recorder()
    const { supervisor, clock } = supervise(receiver)
    await supervisor.start()
    receiver.restart('lost the source')
    receiver.restart('lost it again')
    await settle()
    clock.advance(2000)
    await settle()
    clock.advance(10_000)
    await settle()
    expect(receiver.calls).toEqual(['start', 'stop', 'start'])
    await supervisor.shutdown()
  })

  test('the next start waits until the last stop has settled, however long that takes', async () => {
    const receiver = new Recorder()
    const { supervisor, clock } = supervise(receiver)
    let closed = () => {}
    receiver.stopping = () => new Promise((resolve) => (closed = resolve))
    await supervisor.start()
    receiver.restart('lost the source', new Error('reset'), 10)
    await settle()
    clock.advance(5000)
    await settle()
    expect(receiver.calls).toEqual(['start', 'stop'])
    closed()
    await settle()
    clock.advance(10)
    await settle()
    expect(receiver.calls).toEqual(['start', 'stop', 'start'])
    receiver.stopping = () => {}
    await supervisor.shutdown()
  })

  test('delays double from one failure to the next', async () => {
    const receiver = new Recorder()
    receiver.start = () => {
      throw new Error('refused')
    }
    const { supervisor, clock, events } = supervise(receiver)
    await supervisor.start()
    const startsAfter = async (ms: number): Promise<number> => {
      await settle()
      clock.advance(ms)
      await settle()
      return receiver.calls.filter((call) => call === 'start').length
    }
    expect(await startsAfter(1999)).toBe(1)
    expect(await startsAfter(1)).toBe(2)
    expect(await startsAfter(3999)).toBe(2)
    expect(await startsAfter(1)).toBe(3)
    expect(events.slice(0, 3)).toEqual(['started', 'error: Recorder.onStart failed: refused', 'started'])
    await supervisor.shutdown()
  })

  test('a stop during the delay of a restart ends it', async () => {
    const receiver = new Recorder()
    const { supervisor, clock } = supervise(receiver)
    await supervisor.start()
    receiver.restart('lost the source')
    await settle()
    await supervisor.shutdown()
    clock.advance(60_000)
    await settle()
    expect(receiver.calls).toEqual(['start', 'stop'])
  })

  test('a receiver that stops itself says why, and what it stored is kept', async () => {
    const receiver = new Recorder()
    const { supervisor, events, stored } = supervise(receiver)
    await supervisor.start()
    receiver.store(1)
    receiver.stop('session taken over', new Error('0x8e'))
    await supervisor.shutdown()
    expect(events.at(-1)).toBe('stopped: session taken over: 0x8e')
    expect(stored).toEqual([[1]])
  })

  test('an error of onStop is reported and changes nothing else', async () => {
    const receiver = new Recorder()
    receiver.stopping = () => {
      throw new Error('already closed')
    }
    const { supervisor, events } = supervise(receiver)
    await supervisor.start()
    await supervisor.shutdown()
    expect(events).toEqual([
      'started',
      'error: Recorder.onStop failed: already closed',
      'stopped: The streaming context is stopping',
    ])
  })

  test.each(['onStop', 'onStart'])('is not waited for after ten seconds when %s never ends', async (what) => {
    const receiver = new Recorder()
    let end = (): void => {}
    const never = (): Promise<void> =>
      new Promise((resolve) => {
        end = resolve
      })
    if (what === 'onStop') receiver.stopping = never
    else receiver.start = never
    const { clock, events, stored, supervisor } = supervise(receiver)
    const started = supervisor.start()
    if (what === 'onStop') await started
    receiver.store(1)
    const stopped = supervisor.shutdown()
    await settle()
    clock.advance(9_999)
    await settle()
    expect(events).toEqual(['started'])
    clock.advance(1)
    await stopped
    expect(stored).toEqual([[1]])
    const expected = [
      'started',
      'error: Recorder does not stop; nothing waits for it any more: The promise of its onStop, or of onStart before it, has not settled within 10 s.',
      'stopped: The streaming context is stopping',
    ]
    expect(events).toEqual(expected)
    end()
    await settle()
    expect(events).toEqual(expected)
  })
})
