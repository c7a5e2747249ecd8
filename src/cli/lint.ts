/** `millrace lint`: finds what is wrong with a job before it runs. */
import { isDeepStrictEqual } from 'node:util'
import { bundleJob } from '../engine/job-bundle.js'
import { loadJobModule } from '../engine/job-module.js'
import { settingsWithoutEffect } from '../engines.js'
import type { Job } from '../job.js'
import type { StreamingContext } from '../streaming-context.js'
import { type Command, counted, type Given } from './command.js'
import { describeOnly } from './described-job.js'
import { type GraphDescription, graphDescription } from './graph-description.js'

interface Problem {
  readonly isError: boolean
  readonly text: string
}

export const lint: Command = {
  name: 'lint',
  summary: 'look for mistakes in a job without running it',
  positionals: '<job.ts>',
  options: {},
  notes: [
    'Errors (status 1): it does not compile, load or export a job; a setting is wrong; the graph has no output, cannot be',
    'built, or comes out different when it is built again. Warnings: streams nobody uses, settings without effect. Types',
    'are checked by tsc.',
  ].join('\n'),
  async run(given: Given): Promise<number> {
    const path = given.only('job file')
    const job = await loadJobModule(await bundleJob(path))
    const problems = await problemsOf(job)
    for (const { isError, text } of problems) console.log(`${isError ? 'error' : 'warning'}  ${text}`)
    const errors = problems.filter(({ isError }) => isError).length
    console.log(`${path}: ${counted(errors, 'error')}, ${counted(problems.length - errors, 'warning')}`)
    return errors === 0 ? 0 : 1
  },
}

/** What is wrong with the job. What makes it impossible to build is thrown. */
async function problemsOf(job: Job): Promise<Problem[]> {
  const { ssc, isBatch } = await describeOnly(job)
  const graph = graphDescription(ssc)
  const problems = [...(isBatch ? [] : graphProblems(graph)), ...contextProblems(ssc)]
  await ssc.stop()
  const again = await rebuilt(job)
  const difference = typeof again === 'string' ? again : differenceOf(graph, again)
  if (difference !== null) problems.push({ isError: true, text: difference })
  return problems.sort((a, b) => Number(b.isError) - Number(a.isError))
}

/** The graph built again, as every worker will; or why it cannot be. */
async function rebuilt(job: Job): Promise<GraphDescription | string> {
  try {
    const { ssc } = await describeOnly(job)
    const graph = graphDescription(ssc)
    await ssc.stop()
    return graph
  } catch (error) {
    return `Built a second time, as every worker builds it, the graph fails: ${(error as Error).message} Make receivers and streams inside the function given to defineJob.`
  }
}

function differenceOf(first: GraphDescription, second: GraphDescription): string | null {
  if (isDeepStrictEqual(first, second)) return null
  const index = first.operators.findIndex((operator, i) => !isDeepStrictEqual(operator, second.operators[i]))
  const at = first.operators[index]?.id ?? second.operators[first.operators.length]?.id ?? 'the outputs'
  return `The graph comes out different when it is built again, first at ${at}: workers could not find their functions. Take what differs between two builds (time, random numbers, counters) out of the building.`
}

function graphProblems({ operators, outputs }: GraphDescription): Problem[] {
  const problems: Problem[] = []
  if (outputs.length === 0) {
    problems.push({
      isError: true,
      text: 'No output operation: nothing would run. End at least one stream with print, foreachRDD or another output.',
    })
  }
  const used = new Set([...operators.flatMap(({ parents }) => parents), ...outputs.map(({ of }) => of)])
  for (const { id } of operators) {
    if (!used.has(id)) problems.push({ isError: false, text: `${id} is used by no other operation and no output.` })
  }
  return problems
}

function contextProblems(ssc: StreamingContext): Problem[] {
  const problems: Problem[] = []
  for (const key of settingsWithoutEffect(ssc.conf)) {
    problems.push({ isError: false, text: `${key} has no effect on master ${ssc.conf.get('spark.master')}.` })
  }
  const blockMs = ssc.conf.get('spark.streaming.blockInterval')
  if (blockMs > ssc.batchInterval) {
    problems.push({
      isError: false,
      text: `spark.streaming.blockInterval (${blockMs} ms) is longer than the batch interval (${ssc.batchInterval} ms): records wait for a later batch.`,
    })
  }
  return problems
}
