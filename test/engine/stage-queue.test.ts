/** Who gets a free thread: order of stages, waiting for the thread that holds the values, second copies of slow tasks. */
import { expect, test } from 'vitest'
import type { ExecutorThread } from '../../dist/engine/embedded/executor-thread.js'
import { StageQueue } from '../../dist/engine/embedded/stage-queue.js'
import { type Attempt, type Preference, type Speculation, TaskSet } from '../../dist/engine/embedded/task-set.js'
import type { Lineage } from '../../dist/rdd/lineage.js'

const lineage = {
  type: 'parallelized',
  id: 0,
  partitions: 0,
  partitioner: null,
  storageLevel: null,
  slices: [],
} as Lineage
const threads = [1, 2].map((id) => ({ id }) as ExecutorThread)
let nextId = 0

interface SetOptions {
  readonly batchTime?: number | null
  readonly preference?: (partition: number) => Preference | null
  readonly alive?: readonly number[]
}

function taskSet(
  tasks: number,
  { batchTime = 1000, preference = () => null, alive = [1, 2] }: SetOptions = {},
): TaskSet {
  const info = {
    stageId: nextId++,
    name: 'collect',
    batchTime,
    outputId: 0,
    isShuffleMap: false,
    numTasks: tasks,
    submissionTime: 0,
    completionTime: null,
    failureReason: null,
  }
  return new TaskSet({
    data: { id: info.stageId, top: null, shuffle: null, directory: null, sources: new Map() },
    info,
    top: lineage,
    shuffle: null,
    tasks: Array.from({ length: tasks }, (_, partition) => ({ type: 'result' as const, lineage, partition })),
    job: { batchTime, outputId: 0, name: 'collect' },
    settle: { resolve: () => {}, reject: () => {} },
    cancel: () => {},
    nextId: () => nextId++,
    preference,
    isAlive: (thread) => alive.includes(thread),
  })
}

function launch(attempt: Attempt, thread: ExecutorThread, ranMs = 0): void {
  const startedAt = performance.now() - ranMs
  attempt.set.launched(attempt, {
    thread,
    locality: 'NO_PREF',
    time: 0,
    startedAt,
    inputs: new Map(),
    stored: [],
    timer: null,
  })
}

/** The stages whose tasks get the next `count` threads, by their place in `sets`. */
function order(queue: StageQueue, sets: readonly TaskSet[], count: number): (number | null)[] {
  return Array.from({ length: count }, () => {
    const next = queue.next(threads, performance.now())
    if (next === null) return null
    launch(next.attempt, threads[next.at]!)
    return sets.indexOf(next.attempt.set)
  })
}

function queueOf(mode: 'FAIR' | 'FIFO', sets: readonly TaskSet[]): StageQueue {
  const queue = new StageQueue({ mode, threads: 2 })
  for (const set of sets) queue.add(set)
  return queue
}

test('FIFO serves the first stage as long as it has tasks waiting', () => {
  const sets = [taskSet(3), taskSet(2)]
  expect(order(queueOf('FIFO', sets), sets, 6)).toEqual([0, 0, 0, 1, 1, null])
})

test('FAIR serves the stage with the fewest running tasks', () => {
  const sets = [taskSet(3), taskSet(2)]
  expect(order(queueOf('FAIR', sets), sets, 6)).toEqual([0, 1, 0, 1, 0, null])
})

test('while batches come, a job outside of them leaves one thread to them unless its tasks are short', () => {
  const sets = [taskSet(4, { batchTime: null }), taskSet(1)]
  const queue = queueOf('FAIR', sets)
  expect(order(queue, sets, 3)).toEqual([0, 1, null])
  queue.remove(sets[1]!)
  expect(order(queue, sets, 1)).toEqual([null])
  const quick = taskSet(3, { batchTime: null })
  const other = queueOf('FAIR', [quick, taskSet(0)])
  const first = other.next(threads, performance.now())!.attempt
  launch(first, threads[0]!)
  expect(other.next(threads, performance.now())).toBeNull()
  quick.ended(first)
  quick.succeeded(first, [], 1)
  expect(order(other, [quick], 2)).toEqual([0, 0])
})

test('a job outside of batches gets every thread where no batches come', () => {
  const sets = [taskSet(3, { batchTime: null })]
  expect(order(queueOf('FAIR', sets), sets, 3)).toEqual([0, 0, 0])
})

test('a task waits for the thread that holds its values, then runs elsewhere', () => {
  const set = taskSet(1, { preference: () => ({ thread: 2, waitMs: 1000 }) })
  const now = performance.now()
  expect(set.take([threads[0]!], now)).toBeNull()
  expect(set.nextPatienceEnd).toBeGreaterThan(now)
  expect(set.take([threads[0]!], now + 1001)).toMatchObject({ at: 0, locality: 'NODE_LOCAL' })
})

test('a task runs in the thread that holds its values as soon as that is free', () => {
  const set = taskSet(1, { preference: () => ({ thread: 2, waitMs: 1000 }) })
  expect(set.take(threads, performance.now())).toMatchObject({ at: 1, locality: 'PROCESS_LOCAL' })
})

test('tasks that wait for their thread do not hold up others', () => {
  const set = taskSet(2, { preference: (partition) => (partition === 0 ? { thread: 2, waitMs: 1000 } : null) })
  expect(set.take([threads[0]!], performance.now())).toMatchObject({ attempt: { index: 1 }, locality: 'NO_PREF' })
})

test('nobody waits for a thread that is gone', () => {
  const set = taskSet(1, { preference: () => ({ thread: 2, waitMs: 1000 }), alive: [1] })
  expect(set.nextPatienceEnd).toBeNull()
  expect(set.take([threads[0]!], performance.now())).toMatchObject({ locality: 'NO_PREF' })
})

const speculation: Speculation = { intervalMs: 100, quantile: 0.75, multiplier: 1.5, minTaskMs: 100, thresholdMs: null }

function takeNext(set: TaskSet, free: readonly ExecutorThread[] = threads): Attempt | null {
  return set.take(free, performance.now())?.attempt ?? null
}

test('a task much slower than the others gets one second copy, in another thread, once most are done', () => {
  const set = taskSet(4)
  const attempts = Array.from({ length: 4 }, () => takeNext(set)!)
  attempts.forEach((attempt, n) => {
    launch(attempt, threads[n % 2]!, n === 3 ? 10_000 : 50)
  })
  const finish = (attempt: Attempt): boolean => {
    set.ended(attempt)
    return set.succeeded(attempt, [[attempt.id]], 50)
  }
  finish(attempts[0]!)
  finish(attempts[1]!)
  set.speculate(speculation, 2, performance.now())
  expect(set.hasWaiting).toBe(false)
  finish(attempts[2]!)
  set.speculate(speculation, 2, performance.now())
  set.speculate(speculation, 2, performance.now())
  expect(takeNext(set, [threads[1]!])).toBeNull()
  const copy = takeNext(set)!
  expect(copy).toMatchObject({ index: 3, isSpeculative: true })
  expect(set.hasWaiting).toBe(false)
  launch(copy, threads[0]!)
  expect(finish(copy)).toBe(true)
  expect(set.isComplete).toBe(true)
  expect(finish(attempts[3]!)).toBe(false)
  expect(set.results[3]).toEqual([[copy.id]])
})

test('a task that failed does not run again while a copy of it does', () => {
  const set = taskSet(2)
  const [quick, slow] = [takeNext(set)!, takeNext(set)!]
  launch(quick, threads[0]!, 1)
  launch(slow, threads[1]!, 10_000)
  set.ended(quick)
  set.succeeded(quick, [], 1)
  set.speculate({ ...speculation, quantile: 0.5 }, 2, performance.now())
  const copy = takeNext(set)!
  launch(copy, threads[0]!)
  set.ended(slow)
  expect(set.failed(slow)).toBe(1)
  set.again(slow)
  expect(set.hasWaiting).toBe(false)
  set.ended(copy)
  expect(set.failed(copy)).toBe(2)
  set.again(copy)
  expect(takeNext(set)).toMatchObject({ index: 1, failures: 2, isSpeculative: false })
})

test('in a stage of no more tasks than threads, a task beyond the threshold is slow whatever others take', () => {
  const set = taskSet(1)
  launch(takeNext(set)!, threads[0]!, 500)
  set.speculate(speculation, 2, performance.now())
  expect(set.hasWaiting).toBe(false)
  set.speculate({ ...speculation, thresholdMs: 400 }, 2, performance.now())
  expect(set.hasWaiting).toBe(true)
})
