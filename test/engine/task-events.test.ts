/** What listeners hear of stages, tasks and threads, and what of a task's doings reaches the driver besides its records. */
import type { ExecutorInfo, StageInfo, StreamingContext, TaskInfo } from 'millrace'
import { runBatches } from 'millrace/testing'
import { describe, expect, test } from 'vitest'

interface Heard {
  readonly stages: StageInfo[]
  readonly tasks: TaskInfo[]
  readonly started: TaskInfo[]
  readonly executors: ExecutorInfo[]
}

function listenTo(ssc: StreamingContext): Heard {
  const heard: Heard = { stages: [], tasks: [], started: [], executors: [] }
  // A worker builds the graph as well, and has no use for the listener.
  ssc.addStreamingListener({
    onStageCompleted: (stage) => void heard.stages.push(stage),
    onTaskStart: (task) => void heard.started.push(task),
    onTaskEnd: (task) => void heard.tasks.push(task),
    onExecutorAdded: (executor) => void heard.executors.push(executor),
    onExecutorRemoved: (executor) => void heard.executors.push(executor),
  })
  return heard
}

const words = [
  ['a', 'b', 'a', 'c'],
  ['b', 'b'],
]

describe.each(['local', 'local[2]'])('on %s', (master) => {
  test('every stage and task of a batch is reported with what it read and wrote', async () => {
    let heard: Heard | null = null
    await runBatches({
      inputs: [words],
      build: ([stream], ssc) => {
        heard = listenTo(ssc)
        return stream.map((word) => [word, 1]).reduceByKey((x, y) => x + y, 2)
      },
      master,
    })
    const { stages, tasks, started } = heard! as Heard
    const ofBatch = stages.filter(({ batchTime }) => batchTime === 1000)
    expect(
      ofBatch.map(({ isShuffleMap, numTasks, name, failureReason }) => [isShuffleMap, numTasks, name, failureReason]),
    ).toEqual([
      [true, 2, 'foreachRDD', null],
      [false, 2, 'foreachRDD', null],
    ])
    const [map, result] = ofBatch.map(({ stageId }) => tasks.filter((task) => task.stageId === stageId))
    expect(map!.map(({ metrics }) => metrics!.inputRecords).sort()).toEqual([2, 2])
    const written = map!.reduce((sum, { metrics }) => sum + metrics!.outputRecords, 0)
    expect(written).toBe(4)
    expect(result!.reduce((sum, { metrics }) => sum + metrics!.inputRecords, 0)).toBeGreaterThanOrEqual(3)
    expect(result!.reduce((sum, { metrics }) => sum + metrics!.outputRecords, 0)).toBe(3)
    expect(
      tasks.every(
        ({ status, failureReason, launchTime, finishTime }) =>
          status === 'SUCCESS' && failureReason === null && finishTime! >= launchTime,
      ),
    ).toBe(true)
    expect(started.map(({ taskId }) => taskId).sort()).toEqual(tasks.map(({ taskId }) => taskId).sort())
    expect(
      started.every(
        ({ status, metrics, finishTime }) => status === 'RUNNING' && metrics === null && finishTime === null,
      ),
    ).toBe(true)
    if (master === 'local')
      expect(tasks.every(({ executor, locality }) => executor === 0 && locality === 'PROCESS_LOCAL')).toBe(true)
    else {
      expect(tasks.every(({ executor, locality }) => executor > 0 && locality === 'NO_PREF')).toBe(true)
      expect(result!.some(({ metrics }) => metrics!.inputBytes > 0)).toBe(true)
    }
  })

  test('what tasks add to accumulators arrives in the driver, once for each task that succeeds', async () => {
    let sum: { readonly value: number } | null = null
    let seen: { readonly value: readonly unknown[] } | null = null
    await runBatches({
      inputs: [words],
      build: ([stream], ssc) => {
        const letters = ssc.sparkContext.longAccumulator('letters')
        const dates = ssc.sparkContext.collectionAccumulator<Date>('dates')
        sum = letters
        seen = dates
        return stream.map((word) => {
          letters.add(word.length)
          dates.add(new Date(word.length))
          return word
        })
      },
      master,
    })
    expect(sum!.value).toBe(6)
    expect(seen!.value).toEqual(Array.from({ length: 6 }, () => new Date(1)))
  })
})

test('a task that fails and runs again is reported twice, and counts once in accumulators', async () => {
  let heard: Heard | null = null
  let count: { readonly value: number } | null = null
  await runBatches({
    inputs: [[[1, 2, 3, 4]]],
    build: ([numbers], ssc) => {
      heard = listenTo(ssc)
      const calls = ssc.sparkContext.longAccumulator()
      count = calls
      let isFirst = true
      return numbers.map((n) => {
        calls.add(1)
        if (n === 4 && isFirst) {
          isFirst = false
          throw new Error('not yet')
        }
        return n
      })
    },
    partitions: 1,
    master: 'local[1]',
  })
  const { tasks } = heard! as Heard
  expect(tasks.map(({ status, attempt, failureReason }) => [status, attempt, failureReason])).toEqual([
    ['FAILED', 0, 'Operator 1-map failed on record 4: not yet'],
    ['SUCCESS', 1, null],
  ])
  expect(count!.value).toBe(4)
})

test('threads are reported when they can take tasks and when they are gone, with the reason', async () => {
  let heard: Heard | null = null
  await runBatches({
    inputs: [[[1, 2]], [[3]]],
    build: ([numbers, faults], ssc) => {
      heard = listenTo(ssc)
      return numbers.union(
        faults.map((n) => {
          process.exit(9)
          return n
        }),
      )
    },
    master: 'local[2,1]',
  }).catch(() => null)
  const { executors } = heard! as Heard
  expect(executors.filter(({ reason }) => reason !== null).map(({ kind, reason }) => [kind, reason])).toEqual([
    ['tasks', expect.stringMatching(/it called process.exit\(9\)/)],
  ])
  expect(executors.filter(({ reason }) => reason === null).length).toBeGreaterThanOrEqual(1)
})
