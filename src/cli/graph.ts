/** `millrace graph`: shows the graph of a job, without running it. */
import { bundleJob } from '../engine/job-bundle.js'
import { loadJobModule } from '../engine/job-module.js'
import { type Command, type Given, table, UsageError } from './command.js'
import { describeOnly } from './described-job.js'
import { type GraphDescription, graphDescription } from './graph-description.js'

const formats: Readonly<Record<string, (graph: GraphDescription) => string>> = {
  text: asText,
  mermaid: asMermaid,
  json: (graph) => JSON.stringify(graph, null, 2),
}

export const graph: Command = {
  name: 'graph',
  summary: 'show the graph of a job without running it',
  positionals: '<job.ts>',
  options: {
    format: { type: 'string', placeholder: 'FORMAT', help: `one of ${Object.keys(formats).join(', ')} (default text)` },
  },
  async run(given: Given): Promise<number> {
    const path = given.only('job file')
    const format = given.text('format') ?? 'text'
    const show = Object.hasOwn(formats, format) ? formats[format] : undefined
    if (show === undefined) {
      throw new UsageError(`--format ${format} is not one of ${Object.keys(formats).join(', ')}.`)
    }
    const job = await loadJobModule(await bundleJob(path))
    const { ssc } = await describeOnly(job)
    console.log(show(graphDescription(ssc)))
    await ssc.stop()
    return 0
  },
}

function asText({ name, batchIntervalMs, operators, outputs }: GraphDescription): string {
  const rows = [
    ...operators.map(({ id, parents, slideMs, receiver }): [string, string] => [
      id,
      [
        parents.length === 0 ? (receiver ?? 'input') : `of ${parents.join(', ')}`,
        ...(slideMs === batchIntervalMs ? [] : [`every ${slideMs} ms`]),
      ].join(', '),
    ]),
    ...outputs.map(({ operation, of }): [string, string] => [operation, `of ${of}`]),
  ]
  return [`${name}, a batch every ${batchIntervalMs} ms`, table(rows)].join('\n')
}

function asMermaid({ operators, outputs }: GraphDescription): string {
  const place = new Map(operators.map(({ id }, index) => [id, `n${index}`]))
  // Double quotes end a label; ids and class names hold nothing else that Mermaid minds.
  const label = (text: string): string => text.replaceAll('"', "'")
  return [
    'flowchart TD',
    ...operators.map(
      ({ id, receiver }) => `  ${place.get(id)}["${label(receiver === null ? id : `${id}: ${receiver}`)}"]`,
    ),
    ...operators.flatMap(({ id, parents }) => parents.map((parent) => `  ${place.get(parent)} --> ${place.get(id)}`)),
    ...outputs.map(({ operation, of }, index) => `  ${place.get(of)} --> o${index}(["${label(operation)}"])`),
  ].join('\n')
}
