/** `docs/operations.md` is true: what it names exists, what it calls absent does not, and no public call is missing from it. */
import { readdirSync, readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import * as library from 'millrace'
import { expect, test } from 'vitest'
import { DStream } from '../../dist/dstream/dstream.js'
import { RDD } from '../../dist/rdd/rdd.js'
import { SparkContext } from '../../dist/rdd/spark-context.js'
import { rddOperations } from '../support/rdd-operations.js'
import { streamOperations, streamOutputs } from '../support/stream-operations.js'

const root = fileURLToPath(new URL('../..', import.meta.url))

interface Section {
  /** The headings it lies under, such as `RDD / Pairs`. */
  readonly path: string
  readonly rows: readonly { readonly spark: string[]; readonly here: string[]; readonly isAbsent: boolean }[]
}

const names = (cell: string): string[] => [...cell.matchAll(/`(\w+)/g)].map(([, name]) => name!)

function sections(): Section[] {
  const found: { path: string; rows: { spark: string[]; here: string[]; isAbsent: boolean }[] }[] = []
  let heading = ''
  for (const line of readFileSync(`${root}/docs/operations.md`, 'utf8').split('\n')) {
    const [, marks, title] = /^(##+) (.*)$/.exec(line) ?? []
    if (title !== undefined) {
      heading = marks === '##' ? title : `${heading.split(' / ')[0]} / ${title}`
      found.push({ path: heading, rows: [] })
    }
    const [, spark, here] = /^\|([^|]*)\|([^|]*)\|/.exec(line) ?? []
    if (spark === undefined || here === undefined || /^ Spark |^---/.test(spark)) continue
    const isAbsent = here.trim() === '_absent_'
    found.at(-1)!.rows.push({ spark: names(spark), here: isAbsent ? [] : names(here), isAbsent })
  }
  return found.filter(({ rows }) => rows.length > 0)
}

class Idle extends library.Receiver<never> {
  override onStart(): void {}
  override onStop(): void {}
}

/** The classes whose public calls stand under these headings. */
const classes: Readonly<Record<string, { readonly prototype: object }>> = {
  StreamingContext: library.StreamingContext,
  DStream,
  'DStream / Pairs': DStream,
  'DStream / StateSpec': library.StateSpec,
  'DStream / State': library.State,
  Receiver: Idle,
  SparkContext,
  RDD,
  'RDD / Pairs': RDD,
  'RDD / Numbers': RDD,
}

/** What instances and the class itself can be asked by name, with what their constructors set. */
function has(type: { readonly prototype: object }, name: string): boolean {
  const isItsName = Reflect.get(type, 'name') === name || Reflect.get(Object.getPrototypeOf(type), 'name') === name
  return name in type.prototype || name in type || fieldsOf(type).includes(name) || isItsName
}

function fieldsOf(type: { readonly prototype: object }): string[] {
  if (type === library.StreamingContext) return Object.keys(context)
  if (type === Idle) return Object.keys(new Idle(library.StorageLevel.MEMORY_ONLY))
  return type === SparkContext ? Object.keys(context.sparkContext) : []
}

const context = new library.StreamingContext({ appName: 'operations', batchInterval: '1s' })

/** Names that are marked as internal where they are written, and protected ones. */
const internal = new Set(
  sourceFiles('src').flatMap((path) =>
    [
      ...readFileSync(path, 'utf8').matchAll(
        /(?:@internal\s*\*\/\n(?:\s*\/\/.*\n)*\s*|\bprotected )(?:(?:protected|override|readonly|static|abstract|get|async) )*(\w+)/g,
      ),
    ].map(([, name]) => name!),
  ),
)

function sourceFiles(directory: string): string[] {
  return readdirSync(`${root}/${directory}`, { recursive: true, encoding: 'utf8' })
    .filter((name) => name.endsWith('.ts'))
    .map((name) => `${root}/${directory}/${name}`)
}

/** The public names of a class, inherited ones and statics among them. */
function publicNames(type: { readonly prototype: object }): string[] {
  const found = new Set<string>(fieldsOf(type))
  for (let p: object | null = type.prototype; p !== null && p !== Object.prototype; p = Object.getPrototypeOf(p))
    for (const name of Object.getOwnPropertyNames(p)) found.add(name)
  for (let c: object | null = type; c !== null && c !== Function.prototype; c = Object.getPrototypeOf(c))
    for (const name of Object.getOwnPropertyNames(c))
      if (!['length', 'name', 'prototype'].includes(name)) found.add(name)
  found.delete('constructor')
  return [...found].filter((name) => !internal.has(name))
}

const all = sections()

test('there are sections for every class', () => {
  expect(all.map(({ path }) => path)).toEqual(expect.arrayContaining(Object.keys(classes)))
})

test.each(all.filter(({ path }) => path in classes))(
  '$path: what is named exists, what is absent does not',
  ({ path, rows }) => {
    const type = classes[path]!
    const present = new Set(rows.flatMap(({ here }) => here))
    expect([...present].filter((name) => !has(type, name))).toEqual([])
    const absent = rows.filter(({ isAbsent }) => isAbsent).flatMap(({ spark }) => spark)
    expect(absent.filter((name) => has(type, name) && !present.has(name) && !internal.has(name))).toEqual(
      // The form with a partial function is absent, the action is not.
      path === 'RDD' && !present.has('collect') ? ['collect'] : [],
    )
  },
)

test.each(['StreamingContext', 'DStream', 'Receiver', 'SparkContext', 'RDD', 'DStream / StateSpec', 'DStream / State'])(
  '%s: nothing public is missing',
  (path) => {
    const type = classes[path]!
    const listed = new Set(
      all.filter((section) => classes[section.path] === type).flatMap(({ rows }) => rows.flatMap(({ here }) => here)),
    )
    expect(publicNames(type).filter((name) => !listed.has(name))).toEqual([])
  },
)

/** The operation that the name of a program begins with. */
const programs = (table: object): string[] => Object.keys(table).map((name) => /^\w+/.exec(name)![0])

/** Calls that do nothing with records: they tell of a context or a stream, or say what its jobs are called. */
const withoutRecords = {
  DStream: ['print', 'slideDuration', 'sparkContext'],
  SparkContext: [
    ...['register', 'clearJobGroup', 'setJobDescription', 'cancelAllJobs', 'setLocalProperty', 'getLocalProperty'],
    ...['stop', 'uiWebUrl', 'applicationId'],
  ],
  RDD: [],
}

test.each([
  ['DStream', [...programs(streamOperations), ...programs(streamOutputs(...nothing()))]],
  ['RDD', programs(rddOperations)],
  ['SparkContext', programs(rddOperations)],
] as const)('%s: every operation is run on Spark and on the embedded engine', (of, run) => {
  const named = all
    .filter(({ path }) => path === of || path === `${of} / Pairs` || path === `${of} / Numbers`)
    .flatMap(({ rows }) => rows.flatMap(({ here }) => here))
  const known = new Set<string>([...run, ...withoutRecords[of]])
  expect(named.filter((name) => !known.has(name))).toEqual([])
})

/** A stream without records, for a graph that is described and not run. */
function nothing(): Parameters<typeof streamOutputs> {
  const ssc = new library.StreamingContext({ appName: 'nothing', batchInterval: '1s' })
  return [ssc.queueStream<number>([]), ssc, '/nowhere']
}

test('StreamingListener: every event is listed, and no other', () => {
  const source = readFileSync(`${root}/src/scheduler/streaming-listener.ts`, 'utf8')
  const events = [...source.matchAll(/^ {2}(on\w+)\?\(/gm)].map(([, name]) => name!)
  const { rows } = all.find(({ path }) => path === 'StreamingListener')!
  expect(rows.flatMap(({ here }) => here)).toEqual(events)
})

test('the other names are exported', () => {
  const index = readFileSync(`${root}/src/index.ts`, 'utf8')
  const rows = all.find(({ path }) => path.startsWith('Partitioners'))!.rows
  for (const name of rows.flatMap(({ here }) => here)) expect(index).toMatch(new RegExp(`\\b${name}\\b`))
})
