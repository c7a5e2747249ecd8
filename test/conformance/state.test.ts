/** Spark's expectations of state, below the level of streams: State, StateMap, one update, what is remembered. Every vector of these kinds. */
import { type DStream, MillraceError, StateSpec, StorageLevel } from 'millrace'
import { describe, expect, test } from 'vitest'
import { State } from '../../dist/dstream/state.js'
import { type StateEntry, StateMap } from '../../dist/dstream/state-map.js'
import { updateStates } from '../../dist/dstream/state-update.js'
import type { StreamNode } from '../../dist/dstream/stream-node.js'
import { manualContext } from '../support/streams.js'
import { expectedOf, type Vector, vectorOf, vectors } from '../support/vectors.js'

const ofKind = (kind: string) => vectors.filter((vector) => vector.kind === kind).map((v) => [v.id, v] as const)
const triple = ({ key, state, time }: StateEntry): unknown[] => [key, state, time]

describe.each([false, true])('StateMap, entries %s in order of update', (byTime) => {
  test.each(ofKind('stateMap'))('%s', (_, { input, expected }) => {
    let map = new StateMap(byTime)
    let parent = map
    const run = ([name, ...args]: [string, ...number[]]): unknown[] => {
      const [key = 0, state, time = 0] = args
      switch (name) {
        case 'put':
          map.put(key, state, time)
          return []
        case 'remove':
          map.remove(key)
          return []
        case 'get':
          return [map.get(key)?.state ?? null]
        case 'getByTime':
          return map.olderThan(key).map(triple)
        case 'getAll':
          return map.entries().map(triple)
        case 'parent.getAll':
          return parent.entries().map(triple)
        case 'copy':
          parent = map
          map = map.copy()
          return []
        default:
          throw new Error(`No step ${name}`)
      }
    }
    for (const [i, step] of (input as [string, ...number[]][]).entries()) {
      const sorted = (values: unknown[]) => [...values].sort((a, b) => (JSON.stringify(a) < JSON.stringify(b) ? -1 : 1))
      expect(sorted(run(step)), `step ${i}: ${step}`).toEqual(sorted(expected[i]!))
    }
  })
})

interface RecordParams {
  readonly initialTime: number
  readonly batchTime: number
  readonly timeoutThreshold: number | null
  readonly removeTimedoutData: boolean
  readonly key: string
}

describe('one update of the states of a partition', () => {
  test.each(ofKind('mapWithStateRecord'))('%s', async (_, vector) => {
    const { key, initialTime, batchTime, timeoutThreshold, removeTimedoutData } = vector.params as never as RecordParams
    const [before, commands] = vector.input as [number[], string[]]
    const states = new StateMap(timeoutThreshold !== null)
    for (const state of before) states.put(key, state, initialTime)
    const timedOut: unknown[] = []
    const removed: unknown[] = []
    let calls = 0
    const f = (_time: number, _key: unknown, command: unknown, state: State<number>): unknown => {
      calls++
      if (state.isTimingOut()) {
        timedOut.push(state.get())
        return null
      }
      switch (command) {
        case 'get-state':
          return state.getOption() ?? -1
        case 'update-state':
          state.update(state.exists() ? state.get() + 1 : 0)
          return null
        case 'remove-state':
          removed.push(state.get())
          state.remove()
          return null
        default:
          return null
      }
    }
    const after = await updateStates(
      { states, mapped: [] },
      commands.map((command) => [key, command]),
      f as never,
      { isTimed: true, time: batchTime, timeoutBefore: timeoutThreshold, sweeps: removeTimedoutData },
    )
    const entry = after.states.get(key)
    const seen = [entry === null ? [] : [entry.state, entry.time], after.mapped, timedOut, removed]
    expect(seen).toEqual(expectedAsTuple(vector))
    expect(calls > 0).toBe((vector as unknown as { functionCalled: boolean }).functionCalled)
  })

  test.each(ofKind('mapWithStateRdd'))('%s', async (_, vector) => {
    const { updateTime, previous } = vector.params as never as {
      updateTime: number
      previous: [string, number, number][]
    }
    const states = new StateMap(false)
    for (const [key, state, time] of previous) states.put(key, state, time)
    const f = (_time: number, _key: unknown, value: unknown, state: State<number>): unknown => {
      if (value === 1) state.update(state.exists() ? state.get() + 1 : 0)
      else if (value === 2) state.remove()
      return null
    }
    const update = { isTimed: true, time: updateTime, timeoutBefore: null, sweeps: false }
    const [records] = vector.input as [[string, number][]]
    const after = await updateStates({ states, mapped: [] }, records, f as never, update)
    expect(after.states.entries().map(triple).sort()).toEqual([...vector.expected[0]!].sort())
    expect(states.entries().map(triple).sort(), 'the version before is as it was').toEqual([...previous].sort())
  })
})

/** The state of a key is a list, empty for none; a vector writes it as `[[state, time]]`. */
function expectedAsTuple({ expected }: Vector): unknown[] {
  const [state, ...others] = expected as unknown[][]
  return [state!.length === 0 ? [] : state!.length === 1 ? state![0] : state, ...others]
}

describe('State', () => {
  const id = 'mapwithstatesuite/state-get-exists-update-remove'

  test(id, () => {
    let state = new State<number>()
    const entry = (value: number): StateEntry => ({ key: 'k', state: value, time: 0, born: 1 })
    const steps: Record<string, (value: number) => void> = {
      new: () => {
        state = new State()
      },
      'wrap none': () => void state.wrap(null),
      wrap: (value) => void state.wrap(entry(value)),
      update: (value) => state.update(value),
      'new; update': (value) => {
        state = new State()
        state.update(value)
      },
      remove: () => state.remove(),
      wrapTimingOut: (value) => void state.wrap(entry(value), true),
    }
    const refused = (call: () => void, code: string): string | undefined => {
      try {
        call()
      } catch (error) {
        if (MillraceError.is(error, code as never)) return 'refused'
      }
      return undefined
    }
    for (const [i, [step, value]] of (vectorOf(id).input as [string, number][]).entries()) {
      steps[step]!(value)
      const [expected] = expectedOf(id)[i] as [Record<string, unknown>]
      expect(state.exists(), `${step}: exists`).toBe(expected.exists)
      if (expected.get !== undefined) {
        if (typeof expected.get === 'number') expect(state.get()).toBe(expected.get)
        else
          expect(
            refused(() => state.get(), 'ILLEGAL_STATE'),
            `${step}: get`,
          ).toBe('refused')
      }
      if (expected.getOption !== undefined) expect(state.getOption()).toBe(expected.getOption)
      if (expected.updated !== undefined) expect(state.isUpdated).toBe(true)
      if (expected.removed !== undefined) expect(state.isRemoved).toBe(true)
      expect(state.isTimingOut()).toBe(expected.timingOut ?? false)
      for (const call of ['update', 'remove'] as const) {
        if (expected[call] === undefined) continue
        expect(refused(() => (call === 'update' ? state.update(0) : state.remove()), 'ILLEGAL_ARGUMENT')).toBe(
          'refused',
        )
      }
    }
  })
})

describe('checkpoint intervals', () => {
  const ids = vectors.filter(({ id }) => id.startsWith('mapwithstatesuite/mapwithstate-checkpoint-durations'))

  test.each(ids.map((vector) => [vector.id, vector] as const))('%s', (_, { input, expected }) => {
    const [[batchMs, explicitMs]] = input as [[number, number | null]]
    const { ssc } = manualContext(batchMs)
    const pairs = ssc.queueStream([[['a', 1]]]).map((pair) => pair as [string, number])
    const mapped = pairs.mapWithState(StateSpec.function((key: string) => key))
    if (explicitMs !== null) mapped.checkpoint(explicitMs)
    const [states] = mapped.node.dependencies
    expect([states!.checkpointMs]).toEqual(expected[0])
  })
})

describe('what is remembered', () => {
  /** Which of the batch times the node still has, as the vector says it. */
  function remembered(node: StreamNode, { has, lacks }: { has: number[]; lacks: number[] }): unknown {
    const kept = [...node.generated.keys()]
    return {
      rememberMs: node.rememberMs,
      has: has.filter((time) => kept.includes(time)),
      lacks: lacks.filter((time) => !kept.includes(time)),
    }
  }

  test('basicoperationssuite/rdd-cleanup-map-and-window', async () => {
    const { params, expected } = vectorOf('basicoperationssuite/rdd-cleanup-map-and-window')
    const { rememberMs, runToMs } = params as never as { rememberMs: number; runToMs: number }
    const { ssc, batches } = manualContext(params.batchMs)
    const mapped = ssc.queueStream<number>([]).map((n) => n)
    const first = mapped.window(2000, 1000)
    const second = first.window(4000, 2000)
    ssc.remember(rememberMs)
    second.foreachRDD(() => {})
    await batches(runToMs / params.batchMs)
    const seen = [second, first, mapped].map((s: DStream<number>, i) => [remembered(s.node, expected[i]![0] as never)])
    expect(seen).toEqual(expected)
  })

  test('basicoperationssuite/rdd-cleanup-updatestatebykey', async () => {
    const { params, expected } = vectorOf('basicoperationssuite/rdd-cleanup-updatestatebykey')
    const { checkpointIntervalMs, runToMs } = params as never as { checkpointIntervalMs: number; runToMs: number }
    const { ssc, batches } = manualContext(params.batchMs)
    const pairs = ssc.queueStream<[string, number]>([])
    const states = pairs.updateStateByKey((values, n: number | null) => (n ?? 0) + values.length)
    states.checkpoint(checkpointIntervalMs).foreachRDD(() => {})
    await batches(runToMs / params.batchMs)
    expect([[remembered(states.node, expected[0]![0] as never)]]).toEqual(expected)
  })

  test('windowoperationssuite/window-persistence-level', () => {
    const { ssc } = manualContext()
    const input = ssc.queueStream([[1]])
    const windowed = input.window(2000)
    const level = (stream: DStream<number>): string => (stream.node.storageLevel ?? StorageLevel.NONE).toString()
    const seen = [[{ windowed: level(windowed), parent: level(input) }]]
    windowed.persist(StorageLevel.MEMORY_ONLY)
    seen.push([{ windowed: level(windowed), parent: level(input) }])
    expect(seen).toEqual(expectedOf('windowoperationssuite/window-persistence-level'))
  })

  test('basicoperationssuite/slice-has-not-been-initialized', () => {
    const [[expected]] = expectedOf('basicoperationssuite/slice-has-not-been-initialized') as [[string]]
    const text = /contains "(.*)"/.exec(expected)![1]!
    const { ssc } = manualContext()
    expect(() => ssc.queueStream([[1]]).slice(0, 1000)).toThrow(text)
  })
})
